"""Mistakes of a scenario about its people, with line and key."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab.scenario import Scenario
from lab.scenario_file import ScenarioError, load_scenario
from lab.scenario_people import raw_id_of, sentences, targets

POLICY = """
name: x
stack:
  routing:
    targets:
      desk: {phone: "+14255550172", ring_s: 5}
      ada: {acs_user: "8:acs:res_ada"}
      planner: {teams_user: 0f3e2d1c-aaaa-bbbb-cccc-0123456789ab, transfer: attended}
      queue: {teams_app: 5a1c0d2e-1111-2222-3333-0123456789ab}
people:
  "+14255550180": {steps: [{say: "This is Lee."}]}
"""


def scenario(text: str = "") -> Scenario:
    return Scenario.model_validate(yaml.safe_load(POLICY + text))


def test_targets_have_the_raw_ids_of_their_kind() -> None:
    assert targets(scenario()) == {
        "desk": "4:+14255550172",
        "ada": "8:acs:res_ada",
        "planner": "8:orgid:0f3e2d1c-aaaa-bbbb-cccc-0123456789ab",
        "queue": "28:orgid:5a1c0d2e-1111-2222-3333-0123456789ab",
    }
    assert raw_id_of(scenario(), "desk") == "4:+14255550172"
    assert raw_id_of(scenario(), "+14255550180") == "4:+14255550180"
    assert targets(Scenario(name="x")) == {}


def test_all_sentences_of_the_scenario_are_known() -> None:
    text = """
caller: {steps: [{say: "Hello?"}, {hang_up: true}]}
agent: {greeting: Hi., replies: [{say: "Yes."}]}
"""
    assert {"This is Lee.", "Hello?", "Yes.", "Hi."} <= set(sentences(scenario(text)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "expect: {hears: {disk: [caller]}}",
            "line 12: `expect.hears.disk` is not known; known: caller, voice, desk",
        ),
        (
            "expect: {hears: {desk: [nobody]}}",
            "line 12: `expect.hears.desk[0]` is neither a person (caller",
        ),
        ("expect: {unheard: {voice: [Nobody said this.]}}", "nor a sentence of the scenario"),
        ("expect: {context: {caller: {topic: x}}}", "`expect.context.caller` is not known; known: desk, ada, planner"),
        (
            "expect: {context: {desk: {topik: x}}}",
            "unknown key `topik` in `expect.context.desk`",
        ),
        (
            "expect: {transfers: [{target: disk}]}",
            "`expect.transfers[0].target` is not a target in",
        ),
        (
            "expect: {participants: [desk left, disk left]}",
            "line 12: `expect.participants[1]` names nobody known; write a name and a state; known: desk, ada",
        ),
        ("expect: {participants: [desk]}", "`expect.participants[0]` names nobody known"),
        (
            "expect: {participants: [desk gone]}",
            "`expect.participants[0]` must end with a state: ringing, joined, left, failed",
        ),
        (
            "expect: {transfers: [{target: desk, outcome: lost}]}",
            "`expect.transfers[0].outcome` must be 'done'",
        ),
        ("forms: {join_events: never}", "line 12: `forms.join_events` must be 'roster_first'"),
        (
            "forms: {join: never}",
            "line 12: unknown key `join` in `forms`; allowed: roster, roster_delay_s",
        ),
    ],
)
def test_mistakes_have_line_and_key(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(f"{POLICY}{text}\n", encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(tmp_path / "mine.yaml")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('"5550177": {outcome: busy}', "line 3: `people.5550177` is not a person; expected an E.164 number in quotes"),
        ('"+14255550177": {outcome: engaged}', "line 3: `people.+14255550177.outcome` must be 'answers', 'voicemail'"),
        (
            '"+14255550177": {after: 2}',
            "line 3: unknown key `after` in `people.+14255550177`; allowed: outcome",
        ),
        ('"+14255550177": {steps: [{sing: x}]}', "line 3: unknown key `sing` in `people.+14255550177.steps[0]`"),
    ],
)
def test_mistakes_in_scripts_of_people_have_line_and_key(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(f"name: x\npeople:\n  {text}\n", encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(tmp_path / "mine.yaml")
    assert told in str(caught.value)
