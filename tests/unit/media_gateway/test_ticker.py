from __future__ import annotations

import asyncio

import pytest

from media_gateway.ticker import Ticker


async def test_everybody_hears_every_beat_until_removed() -> None:
    ticker = Ticker(beat_s=0.001)
    one: list[float] = []
    two: list[float] = []
    enough = asyncio.Event()

    def count(now: float) -> None:
        two.append(now)
        if len(two) == 3:
            ticker.remove(one.append)
        if len(two) == 6:
            enough.set()

    keep = one.append
    ticker.add(keep)
    ticker.add(count)
    running = asyncio.create_task(ticker.run())
    await asyncio.wait_for(enough.wait(), 5)
    running.cancel()
    await asyncio.wait([running])
    assert one == two[:3]
    assert two == sorted(two)


async def test_one_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    ticker = Ticker(beat_s=0.001)
    beats = 0
    enough = asyncio.Event()

    def fail(_: float) -> None:
        raise RuntimeError("broken call")

    def count(_: float) -> None:
        nonlocal beats
        beats += 1
        if beats == 3:
            enough.set()

    ticker.add(fail)
    ticker.add(count)
    running = asyncio.create_task(ticker.run())
    await asyncio.wait_for(enough.wait(), 5)
    running.cancel()
    await asyncio.wait([running])
    assert "beat failed" in caplog.text


def test_removing_twice_is_no_mistake() -> None:
    ticker = Ticker()
    ticker.remove(print)
