"""Calculations of the play clock; test_playout.py tests its use."""

from __future__ import annotations

import pytest

from media_gateway.core.play_clock import PlayClock

FRAME = 960
T = 1000.0


def test_sound_is_heard_in_real_time_after_the_delay() -> None:
    clock = PlayClock(delay_s=0.002)
    clock.sent("a", FRAME, T)
    clock.sent("a", FRAME, T)
    assert clock.ends_at == pytest.approx(T + 0.04)
    assert clock.heard_bytes("a", T + 0.001) == 0
    assert clock.heard_bytes("a", T + 0.012) == pytest.approx(480, abs=2)
    assert clock.end_of("a") == pytest.approx(T + 0.042)
    assert clock.heard_bytes("a", T + 0.05) == 2 * FRAME
    assert clock.end_of("a") == float("-inf")


def test_running_dry_shifts_what_follows() -> None:
    clock = PlayClock(delay_s=0)
    clock.sent("a", FRAME, T)
    clock.sent("a", FRAME, T + 1)
    assert clock.heard_bytes("a", T + 1) == FRAME
    assert clock.heard_bytes("a", T + 1.01) == pytest.approx(FRAME + 480, abs=2)


def test_items_are_heard_one_after_the_other() -> None:
    clock = PlayClock(delay_s=0)
    clock.sent("a", FRAME, T)
    clock.sent("", FRAME, T)
    clock.sent("b", FRAME, T)
    assert (clock.heard_bytes("a", T + 0.04), clock.heard_bytes("b", T + 0.04)) == (FRAME, 0)
    assert clock.heard_bytes("b", T + 0.06) == FRAME


def test_the_rest_lengthens_what_was_sent() -> None:
    clock = PlayClock(delay_s=0.002)
    clock.sent("a", FRAME, T)
    clock.sent_rest(T)
    assert clock.ends_at == pytest.approx(clock.end_of("a")) == pytest.approx(T + 0.022)


def test_what_was_stopped_is_not_heard_any_more() -> None:
    clock = PlayClock(delay_s=0)
    clock.sent("a", 10 * FRAME, T)
    clock.stopped(T + 0.02)
    assert clock.ends_at == T + 0.02
    assert clock.heard_bytes("a", T + 1) == 0
