from __future__ import annotations

import pytest

from bench.set_up import HOLD_S, PER_SECOND, furthest, greeting_s, hold_s, overlap_s, reply_s, session_set_up, times

TIMELINE = [{"t": 1.0, "event": "a"}, {"t": 1.5, "event": "b"}, {"t": 2.0, "event": "b"}, {"t": 3.0, "event": "a"}]


def test_the_first_of_each_event_counts() -> None:
    assert times({"timeline": TIMELINE}, "a", "b") == (1.0, 1.5)
    assert times({"timeline": TIMELINE}, "a", "c") is None
    assert times({}, "a", "b") is None


def test_a_set_up_counts_as_far_as_it_fell_between() -> None:
    assert overlap_s((1.0, 3.0), (1.5, 2.0)) == 0.5
    assert overlap_s((1.0, 3.0), (0.0, 2.0)) == 1.0
    assert overlap_s((1.0, 3.0), (0.0, 0.5)) == 0.0


def test_sessions_are_known_by_the_call_they_heard() -> None:
    begun = [{"t": 1.0, "event": "connected"}, {"t": 1.004, "event": "session_updated"}]
    heard = {"timeline": [*begun, {"t": 2.0, "event": "marks_heard", "call": 7}]}
    assert session_set_up([heard, {"timeline": begun}]) == {7: (1.0, 1.004)}


def test_a_greeting_is_timed_from_the_open_socket_to_the_first_audio() -> None:
    timeline = [{"t": 2.0, "event": "media_open"}]
    assert greeting_s({"timeline": timeline, "first_audio_at": 2.04}) == pytest.approx(0.04)
    assert greeting_s({"timeline": timeline, "first_audio_at": None}) is None
    assert greeting_s({"timeline": [], "first_audio_at": 2.0}) is None


def test_the_voice_services_own_share() -> None:
    timeline = [{"t": 2.0, "event": "response_created"}, {"t": 2.01, "event": "first_delta"}]
    assert reply_s({"timeline": timeline}) == pytest.approx(0.01)


def test_how_far_a_call_came() -> None:
    assert (
        furthest({"timeline": [{"event": "incoming_call_sent"}, {"event": "answered"}, {"event": "ended"}]})
        == "answered"
    )
    assert furthest({"timeline": []}) == "nothing"


def test_callers_do_not_hang_up_in_step_with_those_who_dial() -> None:
    holds = [hold_s(number) for number in range(1, 301)]
    assert sum(holds) / len(holds) == pytest.approx(HOLD_S, abs=0.01)
    assert max(holds) - min(holds) > 0.45
    in_step = [after for after in holds if min(after * PER_SECOND % 1, -after * PER_SECOND % 1) < 0.1]
    assert len(in_step) / len(holds) == pytest.approx(0.2, abs=0.02), "as many as chance has it"
