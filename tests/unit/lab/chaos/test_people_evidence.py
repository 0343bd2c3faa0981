"""The judgment on calls with people: nobody is left alone, nobody is called twice, and the record is true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab.chaos.people_evidence import (
    PeopleEvidence,
    alone,
    as_intended,
    disturbed,
    doubled,
    people_figures,
    unsettled,
    untrue,
)
from lab.chaos.people_stories import STORIES, Casting


def entry(action: str, state: str = "done", reason: str = "") -> dict[str, Any]:
    return {"action": action, "state": state, "reason": reason}


def call(name: str, **changes: Any) -> PeopleEvidence:
    """A call in which everything went well."""
    story = next(one for one in STORIES if one.name == name)
    casting = Casting(story, 3)
    over = not story.talks and not story.agent
    good = PeopleEvidence(
        casting=casting,
        connected=not over,
        caller_there=not over,
        people=[casting.raw_id] if story.talks else [],
        agent_answered=story.agent,
        invitations=[{"target": casting.raw_id, "outcome": "answered"}],
        actions=[entry(story.action)],
    )
    return replace(good, **changes)


PERSON = call("dialing").casting.raw_id
RINGING = [{"target": PERSON, "outcome": "no_answer"}]


@pytest.mark.parametrize("name", [story.name for story in STORIES])
def test_a_call_in_which_everything_went_well(name: str) -> None:
    good = call(name)
    assert as_intended(good)
    assert not any((alone(good), doubled(good), unsettled(good), untrue(good), disturbed(good)))


@pytest.mark.parametrize(
    "bad",
    [
        call("dialing", people=[]),
        call("left", agent_answered=False),
        call("bridged", caller_there=False),
        call("blind", connected=True, caller_there=True, people=[]),
        call("blind", connected=True, caller_there=False, people=[]),
    ],
)
def test_somebody_is_left_alone(bad: PeopleEvidence) -> None:
    assert alone(bad)
    assert not as_intended(bad)


@pytest.mark.parametrize(
    "other",
    [
        call("dialing", people=[], agent_answered=True),
        call("bridged", connected=False, caller_there=False, people=[]),
        call("left", connected=False, caller_there=False),
        call("added", agent_answered=False),
        call("blind", connected=False, invitations=RINGING),
        call("bridged", people=[PERSON, "4:+14255570099"]),
    ],
)
def test_another_end_than_intended_leaves_nobody_alone(other: PeopleEvidence) -> None:
    assert not alone(other)
    assert not as_intended(other)


def test_a_person_is_called_once_for_one_action() -> None:
    twice = [{"target": PERSON, "outcome": "canceled"}, {"target": PERSON, "outcome": "answered"}]
    assert doubled(call("dialing", invitations=twice)) == 1
    assert doubled(call("dialing", actions=[entry("transfer")] * 3)) == 2
    assert doubled(call("dialing", invitations=[{"target": "4:+14255570099", "outcome": "busy"}])) == 1
    assert doubled(call("dialing", people=[PERSON, "4:+14255570099"])) == 1
    assert doubled(call("dialing", invitations=[], people=[])) == 0


@pytest.mark.parametrize("entries", [[], [entry("transfer", "running")], [entry("transfer", "failed")]])
def test_an_accepted_request_needs_an_outcome(entries: list[dict[str, Any]]) -> None:
    assert unsettled(call("dialing", actions=entries))


def test_a_failure_with_a_reason_is_an_outcome_and_a_refused_request_needs_none() -> None:
    assert not unsettled(call("dialing", actions=[entry("transfer", "failed", "busy")]))
    assert not unsettled(call("dialing", actions=[], accepted=False))
    assert unsettled(call("dialing", actions=[entry("transfer", "accepted")], accepted=False))


def test_the_record_must_agree_with_what_happened() -> None:
    assert untrue(call("dialing", invitations=RINGING, people=[]))
    assert untrue(call("dialing", actions=[entry("transfer", "failed", "no_answer")]))
    assert not untrue(call("dialing", actions=[entry("transfer", "failed", "no_answer")], people=[]))


def test_people_who_talk_hear_no_tone() -> None:
    assert disturbed(call("bridged", tones=1))
    assert not disturbed(call("dialing", tones=5)), "a caller who waits hears it"
    assert not disturbed(call("left", tones=1)), "the caller waits for the agent"


def test_the_figures_have_all_calls() -> None:
    found = people_figures(
        [
            call("dialing", people=[], actions=[entry("transfer", "running")]),
            call("bridged", tones=2, ended=False),
            call("added", accepted=False),
            call("blind", actions=[entry("transfer")] * 2),
        ]
    )
    assert found == {
        "acting_calls": 4,
        "left_alone": 1,
        "invited_twice": 1,
        "outcomes_open": 1,
        "outcomes_untrue": 0,
        "intended_pct": 75,
        "disturbed": 1,
        "not_ended": 1,
        "requests_refused": 1,
    }


def test_the_stored_call_has_the_judgment() -> None:
    stored = call("left", agent_answered=False, lab_id="a").as_json()
    assert (stored["story"], stored["casting"], stored["lab_id"]) == ("left", 3, "a")
    assert (stored["alone"], stored["intended"], stored["doubled"], stored["untrue"]) == (True, False, 0, False)
