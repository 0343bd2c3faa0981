from __future__ import annotations

from pathlib import Path

import pytest

from lab.demo import DEFAULT_SCENARIO
from lab.scenario import BUILT_IN
from lab.scenario_file import load_scenario, located_error


def test_the_built_in_scenario_has_a_greeting_two_turns_and_a_barge_in() -> None:
    scenario = load_scenario(DEFAULT_SCENARIO)
    assert scenario.agent.greeting
    assert [bool(step.say) for step in scenario.caller.steps].count(True) == 2
    assert len(scenario.agent.replies) == 2


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_scenarios_are_valid_and_have_the_name_of_their_file(name: str) -> None:
    assert load_scenario(BUILT_IN[name]).name == name


def test_faults_that_a_service_finds_have_their_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: x\nstack:\n  profile:\n    tools:\n      - {name: a}\n", encoding="utf-8")
    error = located_error(path, [(("stack", "profile", "tools", 0, "url"), "is not set"), ((), "odd")])
    assert str(error).splitlines()[1:] == ["  line 5: `stack.profile.tools[0].url` is not set", "  line 1: odd"]
