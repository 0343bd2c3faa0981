from __future__ import annotations

import itertools

from lab.acs.frame_clock import CATCH_UP_S, PERIOD_S, FrameClock
from tests.support.eventually import eventually


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def advance(self, ticker: FrameClock, by_s: float) -> None:
        self.now += by_s
        ticker.run_due()


async def test_a_member_is_called_every_20_ms_without_drift() -> None:
    clock, ticks = Clock(), list[float]()
    ticker = FrameClock(clock)
    ticker.join(ticks.append)
    for _ in range(1000):
        clock.advance(ticker, 0.0013)
    ticker.leave(ticks.append)
    assert len(ticks) == 66
    assert all(0 <= at - (100 + number * PERIOD_S) < 0.0014 for number, at in enumerate(ticks))


async def test_missed_ticks_are_made_up_after_a_short_stall_and_skipped_after_a_long_one() -> None:
    clock, ticks = Clock(), list[float]()
    ticker = FrameClock(clock)
    ticker.join(ticks.append)
    clock.advance(ticker, 0.0)
    clock.advance(ticker, 0.2)
    assert len(ticks) == 11
    clock.advance(ticker, CATCH_UP_S + 0.1)
    assert len(ticks) <= 12
    ticker.leave(ticks.append)


async def test_many_members_are_spread_over_the_period() -> None:
    clock = Clock()
    ticker = FrameClock(clock)
    when: dict[int, float] = {}
    ticks = [lambda now, n=n: when.__setitem__(n, now) for n in range(8)]
    for tick in ticks:
        ticker.join(tick)
    for _ in range(20):
        clock.advance(ticker, 0.001)
    for tick in ticks:
        ticker.leave(tick)
    groups = itertools.groupby(sorted(when.values()))
    assert [len(list(members)) for _, members in groups] == [2, 2, 2, 2]
    assert 0.014 < max(when.values()) - min(when.values()) < 0.016


async def test_the_event_loop_drives_the_clock() -> None:
    ticker, ticks = FrameClock(), list[float]()
    ticker.join(ticks.append)
    await eventually(lambda: len(ticks) >= 3)
    ticker.leave(ticks.append)


async def test_a_failing_member_is_removed_and_the_others_continue() -> None:
    ticker, ticks = FrameClock(), list[float]()

    def fail(now: float) -> None:
        raise RuntimeError("this call is broken")

    ticker.join(fail)
    ticker.join(ticks.append)
    await eventually(lambda: len(ticks) > 5)
    ticker.leave(ticks.append)
    ticker.leave(fail)


async def test_without_members_there_is_no_timer_and_it_starts_again() -> None:
    ticker, ticks = FrameClock(), list[float]()
    ticker.join(ticks.append)
    await eventually(lambda: ticks)
    ticker.leave(ticks.append)
    seen = len(ticks)
    ticker.run_due()
    assert len(ticks) == seen
    ticker.join(ticks.append)
    await eventually(lambda: len(ticks) > seen)
    ticker.leave(ticks.append)
