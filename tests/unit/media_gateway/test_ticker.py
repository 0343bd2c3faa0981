from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from media_gateway.ticker import Ticker
from tests.support.eventually import eventually

BEAT_S = 0.004


class Call:
    """Requests another tick after `every_s` seconds, `left` times."""

    def __init__(self, ticker: Ticker, every_s: float = 0.0, left: int = 1) -> None:
        self._ticker = ticker
        self._every_s = every_s
        self.left = left
        self.ticks: list[float] = []

    def tick(self, now: float) -> None:
        self.ticks.append(now)
        self.left -= 1
        if self.left:
            self._ticker.wake(self, now + self._every_s)


class Broken:
    def tick(self, now: float) -> None:
        raise RuntimeError("broken call")


@pytest.fixture
async def ticker() -> AsyncIterator[Ticker]:
    ticker = Ticker(BEAT_S)
    yield ticker
    ticker.stop()


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_nobody_is_ticked_before_it_is_due(ticker: Ticker) -> None:
    call = Call(ticker)
    due = now() + 0.03
    ticker.wake(call, due)
    await eventually(lambda: call.ticks, every_s=0.001)
    assert due - BEAT_S / 5 <= call.ticks[0] <= due + 1


async def test_each_is_ticked_as_often_as_it_asks(ticker: Ticker) -> None:
    often, once, never = Call(ticker, BEAT_S, left=5), Call(ticker), Call(ticker)
    for call in (often, once):
        ticker.wake(call, now())
    await eventually(lambda: not often.left)
    assert len(often.ticks) == 5
    assert often.ticks == sorted(often.ticks)
    assert (len(once.ticks), len(never.ticks)) == (1, 0)


async def test_calls_that_are_due_in_one_beat_share_it(ticker: Ticker) -> None:
    calls = [Call(ticker) for _ in range(20)]
    beat = (now() // BEAT_S + 3) * BEAT_S
    for number, call in enumerate(calls):
        ticker.wake(call, beat + BEAT_S * (0.1 + 0.04 * number))
    await eventually(lambda: all(call.ticks for call in calls))
    assert len({call.ticks[0] for call in calls}) == 1


async def test_another_time_takes_the_place_of_the_first(ticker: Ticker) -> None:
    later, sooner, gone, last = (Call(ticker) for _ in range(4))
    ticker.wake(later, now())
    ticker.wake(later, now() + 3600)
    ticker.wake(sooner, now() + 3600)
    ticker.wake(sooner, now())
    ticker.wake(gone, now())
    ticker.wake(gone, None)
    ticker.wake(gone, None)
    ticker.wake(last, now() + 4 * BEAT_S)
    await eventually(lambda: last.ticks)
    assert (len(later.ticks), len(sooner.ticks), len(gone.ticks)) == (0, 1, 0)


async def test_one_may_be_taken_out_by_another_in_the_same_beat(ticker: Ticker) -> None:
    victim, last = Call(ticker), Call(ticker)

    class Leaving:
        def tick(self, now: float) -> None:
            ticker.wake(victim, None)

    at = now() + BEAT_S
    for ticked in (Leaving(), victim, last):
        ticker.wake(ticked, at)
    await eventually(lambda: last.ticks)
    assert victim.ticks == []


async def test_one_that_fails_does_not_stop_the_others(ticker: Ticker, caplog: pytest.LogCaptureFixture) -> None:
    call = Call(ticker, left=3)
    ticker.wake(Broken(), now())
    ticker.wake(call, now())
    await eventually(lambda: len(call.ticks) == 3)
    assert "call playout failed" in caplog.text


async def test_a_loop_that_was_late_ticks_everybody_once(ticker: Ticker) -> None:
    calls = [Call(ticker) for _ in range(3)]
    for number, call in enumerate(calls):
        ticker.wake(call, now() + number * BEAT_S)
    ending = now() + 5 * BEAT_S
    while now() < ending:
        pass
    await eventually(lambda: all(call.ticks for call in calls))
    assert len({call.ticks[0] for call in calls}) == 1
