from __future__ import annotations

from pathlib import Path

import pytest

from lab.demo import DEFAULT_SCENARIO
from lab.scenario import BUILT_IN
from lab.scenario_file import ScenarioError, load_scenario, located_error


def test_the_built_in_scenario_has_a_greeting_two_turns_and_a_barge_in() -> None:
    scenario = load_scenario(DEFAULT_SCENARIO)
    assert scenario.agent.greeting
    assert [bool(step.say) for step in scenario.caller.steps].count(True) == 2
    assert len(scenario.agent.replies) == 2


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_scenarios_are_valid_and_have_the_name_of_their_file(name: str) -> None:
    assert load_scenario(BUILT_IN[name]).name == name


SHARED = 'profiles:\n  end: {actions: [end_call]}\nrouting:\n  targets:\n    desk: {phone: "+14255550172"}\n'


def write(folder: Path, text: str, shared: str = SHARED) -> Path:
    (folder / "stacks").mkdir(exist_ok=True)
    (folder / "stacks" / "common.yaml").write_text(shared, encoding="utf-8")
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    return folder / "mine.yaml"


def test_scenarios_may_share_a_stack(tmp_path: Path) -> None:
    first = load_scenario(write(tmp_path, "name: x\nstack: common\n"))
    second = load_scenario(write(tmp_path, "name: y\nstack: common\nother_calls: [{hang_up_after_s: 2}]\n"))
    assert first.stack.profiles == {"end": {"actions": ["end_call"]}}
    assert first.stack == second.stack


@pytest.mark.parametrize(
    ("text", "shared", "told"),
    [
        ("name: x\nstack: other\n", SHARED, "line 2: `stack` is not a known stack: "),
        ("name: x\nstack: other\n", SHARED, "known: common"),
        ("name: x\nstack: common\n", "model: gpt-4.1\nprofil: {}\n", "line 2: unknown key `profil`; allowed: model"),
        ("name: x\nstack: common\n", "model: a\nmodel: b\n", "line 2: repeated key `model`"),
        ("name: x\nstack: common\n", "model: [\n", "common.yaml is invalid"),
        ("name: x\nstack: common\nother_calls: [{number: 5}]\n", SHARED, "`other_calls[0].number` must be a string"),
    ],
)
def test_mistakes_with_a_shared_stack_are_reported(text: str, shared: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(write(tmp_path, text, shared))
    assert told in str(caught.value)


@pytest.mark.parametrize("shared", [True, False])
def test_numbers_and_times_in_a_policy_are_strings_as_in_call_control(shared: bool, tmp_path: Path) -> None:
    policy = "routing: {targets: {desk: {phone: +14255550172, ring_s: 5}}, 20: 2026-11-30, flag: yes}\nmodel: x\n"
    text = "name: x\nstack: common\n" if shared else "name: x\nstack:\n  " + policy.replace("\nmodel", "\n  model")
    stack = load_scenario(write(tmp_path, text, policy)).stack
    desk = {"phone": "+14255550172", "ring_s": "5"}
    assert stack.routing == {"targets": {"desk": desk}, "20": "2026-11-30", "flag": True}


def test_recordings_of_people_are_found_beside_the_scenario(tmp_path: Path) -> None:
    path = write(tmp_path, 'name: x\npeople: {"+14255550172": {steps: [{play: hello.wav}, {say: Hello.}]}}\n')
    with pytest.raises(ScenarioError, match=r"`people.\+14255550172.steps\[0\].play`: the file .* does not exist"):
        load_scenario(path)
    (tmp_path / "hello.wav").write_bytes(b"")
    steps = load_scenario(path).people["+14255550172"]["steps"]
    assert isinstance(steps, list)
    assert steps[0]["play"] == str(tmp_path / "hello.wav")
    assert steps[1]["say"] == "Hello."


def test_faults_that_a_service_finds_have_their_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: x\nstack:\n  profile:\n    tools:\n      - {name: a}\n", encoding="utf-8")
    error = located_error(path, [(("stack", "profile", "tools", 0, "url"), "is not set"), ((), "odd")])
    assert str(error).splitlines()[1:] == ["  line 5: `stack.profile.tools[0].url` is not set", "  line 1: odd"]
