from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent_relay.check_profiles import main


@pytest.mark.parametrize(
    ("text", "profiles", "mistake"),
    [
        ("sales: {language: de-DE}\n", ["default", "sales"], ""),
        ("default: {}\n", ["default"], ""),
        ("sales: {accent: de-DE}\n", [], "sales.accent: is unknown"),
        ("sales: [\n", [], "is not valid YAML"),
    ],
)
def test_the_names_or_the_mistakes_are_printed(
    text: str, profiles: list[str], mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "profiles.yaml"
    path.write_text(text, encoding="utf-8")
    code = main([str(path)])
    printed = json.loads(capsys.readouterr().out)
    assert (code, printed["profiles"]) == (2 if mistake else 0, profiles)
    assert mistake in "".join(printed["mistakes"])
    assert bool(printed["mistakes"]) is bool(mistake)


def test_a_file_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.yaml")]) == 2
    assert "cannot be read" in json.loads(capsys.readouterr().out)["mistakes"][0]
