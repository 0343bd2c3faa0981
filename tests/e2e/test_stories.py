"""The built-in scenarios with a stack of their own check their claims. Those with an equal stack share it, and their
calls run at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from lab.calls_together import run_together
from lab.demo import call_running_stack, demo
from lab.scenario import BUILT_IN, Scenario, ScenarioStack
from lab.scenario_file import load_scenario
from lab.stack import running
from lab.story import prepare, stack_for

AT_ONCE: Final = 8
"""Calls at the same time: more of them starve each other on two cores, beside the other workers."""


def _grouped() -> list[list[Scenario]]:
    groups: list[list[Scenario]] = []
    for path in BUILT_IN.values():
        scenario = load_scenario(path)
        if scenario.stack == ScenarioStack():
            continue
        group = next((one for one in groups if one[0].stack == scenario.stack), None)
        if group is None:
            groups.append([scenario])
        else:
            group.append(scenario)
    return groups


GROUPS = _grouped()


@pytest.mark.parametrize("stories", GROUPS, ids=lambda stories: stories[0].name)
@pytest.mark.timeout(180)
def test_stories_pass_their_checks(
    stories: Sequence[Scenario], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    if len(stories) == 1:
        code = demo(Path(stories[0].name), tmp_path / "stack", tmp_path / "out")
        assert code == 0, "".join(capsys.readouterr())
        assert (tmp_path / "out" / f"{stories[0].name}.wav").stat().st_size > 100_000
        return

    with running(stack_for(stories[0], tmp_path / "stack")) as stack:
        prepare(stack, stories[0].stack)
        reports = [
            report
            for first in range(0, len(stories), AT_ONCE)
            for report in run_together(stack, stories[first : first + AT_ONCE], tmp_path / "out")
        ]
        failed = [f"{one.scenario.name}\n" + "\n".join(one.lines()) for one in reports if not one.passed]
        assert [process.name for process in stack.dead()] == []
    assert not failed, "\n\n".join(failed)
    assert len(reports) == len(stories)


def test_most_stories_share_a_stack() -> None:
    assert sum(len(group) > 1 for group in GROUPS) >= 2
    assert len(GROUPS) <= len(BUILT_IN) / 3


def test_a_story_with_its_own_stack_cannot_use_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call_running_stack(Path(GROUPS[0][0].name), tmp_path, tmp_path) == 2
    assert "needs a stack of its own" in capsys.readouterr().err
