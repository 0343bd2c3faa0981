"""When the next session is opened, and when it takes over."""

from __future__ import annotations

import asyncio
import time
from typing import cast
from unittest.mock import AsyncMock, Mock

import pytest

from agent_relay.voice import roll_over
from agent_relay.voice.roll_over import next_session
from agent_relay.voice.warm_pool import WarmSession
from bridge_common.base.errors import OutsideError
from tests.support.eventually import eventually


class Opener:
    """Opens sessions, after so many failures."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.opened: list[Mock] = []
        self.at: list[float] = []

    async def __call__(self) -> WarmSession:
        self.at.append(time.monotonic())
        if self.failures:
            self.failures -= 1
            raise OutsideError("429", retry=True)
        session = Mock()
        session.socket.lost = None
        session.socket.close = AsyncMock()
        self.opened.append(session)
        return cast(WarmSession, session)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The loop's time, moved by nothing but sleep."""
    now = [1000.0]

    async def sleep(delay_s: float) -> None:
        now[0] += delay_s

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])
    return now


async def test_at_a_quiet_moment_it_takes_over_as_soon_as_it_is_ready(clock: list[float]) -> None:
    opener = Opener()
    session = await next_session(4.0, lambda: True, opener)
    assert session is opener.opened[0]
    assert clock == [1003.0]
    opener.opened[0].socket.close.assert_not_awaited()


async def test_while_nobody_is_quiet_it_waits_until_shortly_before_the_end(clock: list[float]) -> None:
    await next_session(8.0, lambda: False, Opener())
    assert clock == [pytest.approx(1007.5, abs=0.06)]


async def test_a_refusal_and_a_loss_mean_another_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roll_over, "_RETRY_S", 0.01)
    opener, quiet = Opener(failures=2), False
    waiting = asyncio.create_task(next_session(40.0, lambda: quiet, opener))
    await asyncio.sleep(0)
    assert not opener.at, "not before its time"
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    waiting = asyncio.create_task(next_session(0.0, lambda: quiet, opener))
    session = await waiting
    assert len(opener.at) == 3
    assert session is opener.opened[0]


async def test_one_that_is_lost_while_it_waits_is_replaced_and_one_that_is_not_needed_closed() -> None:
    opener = Opener()
    waiting = asyncio.create_task(next_session(2.0, lambda: False, opener))
    await eventually(lambda: len(opener.opened) == 1, within_s=3)
    opener.opened[0].socket.lost = OutsideError("1006", retry=True)
    await eventually(lambda: len(opener.opened) == 2)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    opener.opened[1].socket.close.assert_awaited_once()
