from __future__ import annotations

import asyncio
import time

from lab.acs.frame_clock import PERIOD_S, FrameClock
from tests.support.eventually import eventually


async def test_a_member_is_called_every_20_ms_without_drift() -> None:
    ticker, ticks = FrameClock(), list[float]()
    ticker.join(ticks.append)
    began = time.monotonic()
    await eventually(lambda: len(ticks) >= 51)
    ticker.leave(ticks.append)
    assert 0.8 < (ticks[50] - ticks[0]) / (50 * PERIOD_S) < 1.4
    assert ticks[0] - began < 0.5


async def test_ticks_owed_after_a_short_stall_are_made_up() -> None:
    ticker, ticks = FrameClock(), list[float]()
    ticker.join(ticks.append)
    await eventually(lambda: ticks)
    time.sleep(0.2)  # noqa: ASYNC251  # the stall itself
    await asyncio.sleep(0.005)
    assert len(ticks) >= 9
    ticker.leave(ticks.append)


async def test_many_members_are_spread_over_the_period() -> None:
    ticker = FrameClock()
    when: dict[int, float] = {}
    ticks = [lambda now, n=n: when.__setitem__(n, now) for n in range(8)]
    for tick in ticks:
        ticker.join(tick)
    # Not at the first round: after a stall of the machine all are due at once.
    await eventually(lambda: len(when) == 8 and max(when.values()) - min(when.values()) > 0.010)
    for tick in ticks:
        ticker.leave(tick)


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
    await asyncio.sleep(0.05)
    assert len(ticks) == seen
    ticker.join(ticks.append)
    await eventually(lambda: len(ticks) > seen)
    ticker.leave(ticks.append)
