from __future__ import annotations

from typing import Any

import pytest

from bench.set_up import HOLD_S, PER_SECOND, answer_ms, figures_of, first_at, hold_s, sound_ms


def call(first_audio_at: float | None = None, **steps: float) -> dict[str, Any]:
    timeline = [{"t": t, "event": event} for event, t in steps.items()]
    return {"timeline": timeline, "first_audio_at": first_audio_at}


def test_the_first_of_each_event_counts() -> None:
    timeline = [{"t": 1.0, "event": "a"}, {"t": 1.5, "event": "b"}, {"t": 2.0, "event": "b"}, {"t": 3.0, "event": "a"}]
    assert first_at({"timeline": timeline}, "a") == 1.0
    assert first_at({"timeline": timeline}, "b") == 1.5
    assert first_at({"timeline": timeline}, "c") is None


def test_an_answer_is_timed_from_the_ring() -> None:
    assert answer_ms(call(incoming_call_sent=1.0, answered=1.02)) == pytest.approx(20)
    assert answer_ms(call(incoming_call_sent=1.0)) is None
    assert answer_ms(call(answered=1.0)) is None


def test_sound_is_timed_from_the_open_socket_to_the_first_audio() -> None:
    assert sound_ms(call(2.04, media_open=2.0)) == pytest.approx(40)
    assert sound_ms(call(None, media_open=2.0)) is None
    assert sound_ms(call(2.0)) is None


def test_calls_without_sound_are_counted_and_not_left_out() -> None:
    good = call(2.04, incoming_call_sent=1.0, answered=1.02, media_open=2.0)
    silent = call(None, incoming_call_sent=1.0, answered=1.03)
    lost = call(None, incoming_call_sent=1.0)
    found = figures_of([good, silent, lost], {"redis": 3.0, "acs": 9.0})
    assert (found["calls"], found["calls not answered"], found["calls without sound"]) == (3, 1, 2)
    assert found["answer p50, ms"] == pytest.approx(30)
    assert found["sound p99, ms"] == pytest.approx(40)
    assert found["CPU of redis, ms/call"] == 3.0
    assert "CPU of acs, ms/call" not in found, "a simulator"


def test_without_any_sound_there_are_no_percentiles() -> None:
    assert "sound p50, ms" not in figures_of([call()], {})


def test_hang_ups_do_not_coincide_with_new_calls() -> None:
    holds = [hold_s(number) for number in range(1, 301)]
    assert sum(holds) / len(holds) == pytest.approx(HOLD_S, abs=0.01)
    assert max(holds) - min(holds) > 0.45
    in_step = [after for after in holds if min(after * PER_SECOND % 1, -after * PER_SECOND % 1) < 0.1]
    assert len(in_step) / len(holds) == pytest.approx(0.2, abs=0.02), "as many as chance has it"
