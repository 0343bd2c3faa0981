"""When the next session is opened, and when it takes over."""

from __future__ import annotations

import asyncio
from typing import cast
from unittest.mock import AsyncMock, Mock

import pytest

from agent_relay.voice.roll_over import next_session
from agent_relay.voice.warm_pool import WarmSession
from bridge_common.base.errors import OutsideError
from tests.support.virtual_time import run_in_virtual_time


class Opener:
    """Opens sessions; the first `failures` attempts fail."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.opened: list[Mock] = []
        self.at: list[float] = []

    async def __call__(self) -> WarmSession:
        self.at.append(asyncio.get_running_loop().time())
        if len(self.at) <= self.failures:
            raise OutsideError("429", retry=False)
        session = Mock()
        session.socket.lost = None
        session.socket.close = AsyncMock()
        self.opened.append(session)
        return cast(WarmSession, session)


async def _exchanged_at(life_s: float, opener: Opener, *, quiet: bool) -> float:
    session = await next_session(life_s, lambda: quiet, opener)
    assert session is opener.opened[-1]
    opener.opened[-1].socket.close.assert_not_awaited()
    return asyncio.get_running_loop().time()


def test_at_a_quiet_moment_it_takes_over_as_soon_as_it_is_ready() -> None:
    opener = Opener()
    assert run_in_virtual_time(_exchanged_at(4.0, opener, quiet=True)) == 3.0
    assert opener.at == [3.0]


def test_without_a_quiet_moment_it_takes_over_shortly_before_the_end() -> None:
    assert run_in_virtual_time(_exchanged_at(8.0, Opener(), quiet=False)) == pytest.approx(7.5, abs=0.06)


@pytest.mark.parametrize("life_s", [3600.0, 1800.0])
def test_a_long_session_is_replaced_in_its_last_four_minutes(life_s: float) -> None:
    assert run_in_virtual_time(_exchanged_at(life_s, Opener(), quiet=True)) == life_s - 240


def test_failed_attempts_are_repeated_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    opener = Opener(failures=3)
    run_in_virtual_time(_exchanged_at(40.0, opener, quiet=True))
    assert len(opener.at) == 4
    assert all(1.0 <= after - before <= 2.0 for before, after in zip(opener.at, opener.at[1:], strict=False))
    assert caplog.messages == ["failed to open next voice session; retrying", "next voice session opened"]


def test_a_session_that_is_lost_while_it_waits_is_replaced() -> None:
    async def exchanged() -> None:
        opener = Opener()
        waiting = asyncio.create_task(next_session(40.0, lambda: False, opener))
        await asyncio.sleep(31.0)
        opener.opened[0].socket.lost = OutsideError("1006", retry=True)
        assert await waiting is opener.opened[1]
        assert opener.at == [30.0, pytest.approx(31.0, abs=0.06)]

    run_in_virtual_time(exchanged())


def test_a_session_that_is_not_needed_is_closed() -> None:
    async def canceled() -> None:
        opener = Opener()
        waiting = asyncio.create_task(next_session(40.0, lambda: False, opener))
        await asyncio.sleep(31.0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        opener.opened[0].socket.close.assert_awaited_once()

    run_in_virtual_time(canceled())
