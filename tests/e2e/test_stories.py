"""The built-in scenarios with a stack of their own: each checks its claims in `lab demo`."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.demo import DEFAULT_SCENARIO, call_running_stack, demo
from lab.scenario import ScenarioStack
from lab.scenario_file import load_scenario

STORIES = sorted(
    path.stem for path in DEFAULT_SCENARIO.parent.glob("*.yaml") if load_scenario(path).stack != ScenarioStack()
)


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.timeout(120)
def test_a_story_passes_its_checks(
    story: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    code = demo(Path(story), tmp_path / "stack", tmp_path / "out")
    output = "".join(capsys.readouterr())
    assert code == 0, output
    assert (tmp_path / "out" / f"{story}.wav").stat().st_size > 100_000


def test_a_story_with_its_own_stack_cannot_use_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call_running_stack(Path(STORIES[0]), tmp_path, tmp_path) == 2
    assert "needs a stack of its own" in capsys.readouterr().err
