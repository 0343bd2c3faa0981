from __future__ import annotations

import pytest

from agent_relay.core.dialog.own_greeting import START_S, OwnGreeting
from agent_relay.core.protocol import voice_events as vl

BEGUN = vl.ResponseCreated("r1")
AUDIO = vl.AudioDelta("r1", "a1", b"\0\0")


def _ready(*, expected: bool = True, greeted: bool = False) -> OwnGreeting:
    greeting = OwnGreeting(possible=True, expected=expected)
    greeting.session_ready(1.0, greeted=greeted)
    return greeting


def test_other_targets_are_not_watched() -> None:
    greeting = OwnGreeting()
    greeting.session_ready(1.0, greeted=True)
    assert not greeting.watches
    assert not greeting.holds(BEGUN)
    assert greeting.release(granted=False) == []
    assert greeting.unwanted(BEGUN, wanted=False) == ""
    assert greeting.may_request(1.0)


def test_the_greeting_is_held_until_it_is_released() -> None:
    greeting = _ready()
    assert greeting.holds(BEGUN)
    assert greeting.holds(AUDIO)
    assert greeting.release(granted=True) == [BEGUN, AUDIO]
    assert not greeting.watches
    assert not greeting.holds(AUDIO)


@pytest.mark.parametrize("expected", [True, False])
def test_a_greeting_is_awaited_if_it_is_expected_or_has_begun(expected: bool) -> None:
    greeting = _ready(expected=expected)
    assert greeting.awaited is expected
    greeting.holds(vl.Other("rate_limits.updated"))
    assert greeting.awaited is expected
    greeting.holds(BEGUN)
    assert greeting.awaited
    assert not _ready(greeted=True).awaited


def test_a_greeting_that_is_not_granted_is_unwanted() -> None:
    greeting = _ready()
    greeting.holds(BEGUN)
    assert greeting.release(granted=False) == [BEGUN]
    assert greeting.unwanted(BEGUN, wanted=False) == "r1"


def test_in_a_later_session_the_first_response_is_unwanted() -> None:
    greeting = _ready(greeted=True)
    assert greeting.unwanted(vl.Other("session.updated"), wanted=False) == ""
    assert greeting.unwanted(AUDIO, wanted=False) == "r1"
    assert greeting.unwanted(vl.ResponseCreated("r2"), wanted=False) == ""


@pytest.mark.parametrize("event", [vl.SpeechStarted("u1"), BEGUN])
def test_a_response_that_may_be_due_is_not_canceled(event: vl.ServerEvent) -> None:
    greeting = _ready(greeted=True)
    assert greeting.unwanted(event, wanted=True) == ""
    assert greeting.unwanted(vl.ResponseCreated("r2"), wanted=False) == ""


def test_requests_wait_for_the_greeting_of_a_later_session() -> None:
    greeting = _ready(greeted=True)
    assert greeting.next_at() == 1.0 + START_S
    assert not greeting.may_request(1.0)
    greeting.unwanted(BEGUN, wanted=False)
    assert greeting.may_request(1.0)
    late = _ready(greeted=True)
    assert late.may_request(1.0 + START_S)
    assert late.next_at() is None
    assert _ready(greeted=True, expected=False).may_request(1.0)
    assert _ready().may_request(1.0)


def test_a_lost_session_is_forgotten() -> None:
    greeting = _ready()
    greeting.holds(BEGUN)
    greeting.session_lost()
    assert greeting.release(granted=True) == []
    assert not greeting.watches
