from __future__ import annotations

import json
from pathlib import Path

import pytest

from call_control.check_policy import main

POLICY = """
rules:
  - {name: refused, caller: anonymous, reject: busy}
  - {name: gold, header: {X-Tier: gold}, agents: {gold-desk: 90, new-desk: 10}}
  - {name: rest, agent: front-desk}
targets:
  billing: {phone: +18005550001}
"""


def test_the_agents_of_each_rule_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "routing.yaml").write_text(POLICY, encoding="utf-8")
    assert main([str(tmp_path / "routing.yaml")]) == 0
    agents = {
        "rules[0] (refused)": [],
        "rules[1] (gold)": ["gold-desk", "new-desk"],
        "rules[2] (rest)": ["front-desk"],
    }
    assert json.loads(capsys.readouterr().out) == {"agents": agents, "targets": ["billing"], "mistakes": []}


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        (
            "rules:\n  - {name: all, agnt: x}\n",
            ["rules[0] (all).agnt: is unknown; known fields are", "rules[0] (all): must have exactly"],
        ),
        ("rules: [\n", ["line "]),
        (None, ["cannot be read"]),
    ],
)
def test_all_mistakes_are_printed(
    text: str | None, mistakes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "routing.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert main([str(path)]) == 2
    printed = json.loads(capsys.readouterr().out)["mistakes"]
    assert len(printed) == len(mistakes)
    assert all(one.startswith(start) for one, start in zip(printed, mistakes, strict=True))
