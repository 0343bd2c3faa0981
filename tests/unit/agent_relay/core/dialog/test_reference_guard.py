from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_relay.core.dialog.reference_guard import MASK, ReferenceGuard, reference_message
from agent_relay.core.protocol import voice_events as vl
from bridge_common.wire import call_reference
from bridge_common.wire.entries import Clear, Playing
from tests.unit.support.talk import SECOND, Talk, appended, notices, outcomes, profile_for, sent, types

REFERENCE = "7QK4-M2X9-RD"


def _delta(text: str, item: str = "a1") -> vl.AgentTranscriptDelta:
    return vl.AgentTranscriptDelta("r1", item, text)


@pytest.mark.parametrize(
    "spoken", ["7QK4-M2X9-RD", "7qk4m2x9rd", "7 Q K 4, M 2 X 9, R D", "7-Q-K-4-M-2-X-9-R-D", "7QK4 M2X9 RD"]
)
def test_a_reference_is_found_in_every_form(spoken: str) -> None:
    checked = ReferenceGuard(REFERENCE).check(vl.AgentTranscriptDone("r1", "a1", f"It is {spoken}, goodbye."))
    assert checked.found
    assert checked.event.text == f"It is {MASK}, goodbye."


@given(st.lists(st.integers(1, 40), max_size=8))
def test_it_is_found_however_the_text_is_divided(cuts: list[int]) -> None:
    text, guard = f"Your reference is {REFERENCE}, and {REFERENCE} again.", ReferenceGuard(REFERENCE)
    places = [0, *sorted({cut for cut in cuts if cut < len(text)}), len(text)]
    shown, found = "", []
    for begin, end in itertools.pairwise(places):
        checked = guard.check(_delta(text[begin:end]))
        whole = isinstance(checked.event, vl.AgentTranscriptDone)
        shown = checked.event.text if whole else shown + checked.event.text
        found.append(checked.found)
    assert shown == f"Your reference is {MASK}, and {MASK} again."
    assert found.count(True) == 1, "one response is withdrawn once"


def test_other_text_is_unchanged() -> None:
    guard = ReferenceGuard(REFERENCE)
    for text in ("7QK4-M2X9", "-", "The order 7QK4 M2X8 RD is late."):
        event = _delta(text)
        assert guard.check(event).event is event
    assert not guard.check(_delta("RD", item="a2")).found, "the parts are of two items"
    without = ReferenceGuard("")
    assert not without.check(_delta(REFERENCE)).found


@given(st.text(), st.text())
def test_the_rest_of_the_text_stays(before: str, after: str) -> None:
    text = f"{before} {REFERENCE} {after}"
    masked = ReferenceGuard(REFERENCE).check(vl.AgentTranscriptDone("r1", "a1", text)).event.text
    assert MASK in masked
    assert call_reference.spoken_form(REFERENCE)[0] not in call_reference.spoken_form(masked.replace(MASK, "|"))[0]


def test_a_response_with_the_reference_is_cut_before_it_is_heard() -> None:
    talk = Talk(profile_for(), reference=REFERENCE)
    assert reference_message(REFERENCE) in sent(talk.open())
    talk.turn()
    talk.hear(vl.ResponseCreated("r1"), _delta("Your call is "), vl.AudioDelta("r1", "a1", SECOND))
    talk.core.from_caller(Playing("a1"), 1.1)
    commands = talk.hear(_delta(f"{REFERENCE}."))
    assert Clear("a1") in appended(commands)
    assert types(commands) == ["conversation.item.create", "response.cancel", "response.create"]
    assert notices(commands) == ["call_reference_spoken", "speech_overdue"]
    assert outcomes(commands)[0][1] == "asked_again"
    assert appended(talk.hear(vl.AudioDelta("r1", "a1", SECOND))) == [], "its further audio is not played"


def test_an_agent_that_insists_gets_the_fallback_text() -> None:
    talk = Talk(profile_for(), reference=REFERENCE)
    talk.open()
    talk.turn()
    steps: list[str] = []
    for response in ("r1", "r2"):
        talk.hear(vl.ResponseCreated(response), vl.AudioDelta(response, f"of {response}", SECOND))
        commands = talk.hear(vl.AgentTranscriptDelta(response, f"of {response}", REFERENCE))
        assert "response.create" in types(commands)
        steps += [outcome for _, outcome in outcomes(commands)]
        talk.hear(vl.ResponseDone(response, "cancelled", "client_cancelled"))
    assert steps == ["asked_again", "fallback"]
