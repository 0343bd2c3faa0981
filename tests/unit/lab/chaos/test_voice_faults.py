"""How soon a call is spoken to again, read out of traces and timelines."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from lab.chaos import voice_faults
from lab.chaos.call_trace import CallTrace, VoiceSession
from lab.chaos.row import Scene

FOREVER = float("inf")


def scene(**moments: float) -> Scene:
    return Scene(Mock(), Mock(), moments=moments)


def trace(*sessions: VoiceSession, heard: tuple[tuple[int, int, float], ...] = ()) -> CallTrace:
    return CallTrace(1, True, [], heard, sessions)


def test_the_last_call_that_is_spoken_to_again_counts() -> None:
    soon = trace(VoiceSession(5.2, FOREVER, [(1, 5.5)], []), heard=((1, 1, 5.6),))
    late = trace(VoiceSession(6.2, FOREVER, [(1, 6.5)], []), heard=((1, 0, 5.1), (1, 1, 6.6)))
    examine = voice_faults.resumed_after("drop")
    assert examine(scene(drop=5.0), [soon, late]) == {"resumed_s": pytest.approx(1.6)}
    assert examine(scene(drop=5.0), [soon, trace()]) == {"resumed_s": FOREVER}


def test_how_soon_the_last_silent_session_was_given_up_counts() -> None:
    noticed = trace(VoiceSession(1.0, 7.2, [], []), VoiceSession(7.3, FOREVER, [(5, 7.5)], []), heard=((1, 5, 7.6),))
    found = voice_faults.noticed_after("mute")(scene(mute=5.0), [noticed])
    assert found == {"resumed_s": pytest.approx(2.6), "noticed_s": pytest.approx(2.2)}
    never = trace(VoiceSession(1.0, FOREVER, [], []))
    assert voice_faults.noticed_after("mute")(scene(mute=5.0), [never])["noticed_s"] == FOREVER


def test_calls_that_people_have_are_counted() -> None:
    there = scene()
    there.crowd = Mock()
    there.crowd.phones.return_value = [{"timeline": [{"event": "transferred", "t": 1.0}]}, {"timeline": []}]
    assert voice_faults.handed_to_people(there, []) == {"transferred_pct": 50}
