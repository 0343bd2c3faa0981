"""Opens the next voice session of a call before the current one expires. Sessions expire after an hour."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from agent_relay.voice.warm_pool import WarmSession
from bridge_common.base.errors import BridgeError
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.base.retry import Backoff, retry

log = logging.getLogger(__name__)

LEAD_S: Final = 240.0
"""The next session is opened this many seconds before the current one expires, but not before three quarters of its
life.
"""
_LAST_MOMENT: Final = 0.25
"""Fraction of `LEAD_S` that is left when the sessions are swapped even if somebody speaks."""
_LOOK_S: Final = 0.05
_BACKOFF: Final = Backoff.constant(2.0)


async def next_session(
    life_s: float, is_quiet: Callable[[], bool], open_next: Callable[[], Awaitable[WarmSession]]
) -> WarmSession:
    """Open a session that replaces the current one, and return it at a quiet moment. `life_s`: remaining life of the
    current one.

    The calling code must close the returned session.
    """
    loop = asyncio.get_running_loop()
    lead_s = min(LEAD_S, life_s / 4)
    last_moment = loop.time() + life_s - lead_s * _LAST_MOMENT
    await asyncio.sleep(max(life_s - lead_s, 0))
    session: WarmSession | None = None
    try:
        while True:
            if session is None or session.socket.lost is not None:
                session = await _opened(open_next)
            if is_quiet() or loop.time() >= last_moment:
                return session
            await asyncio.sleep(_LOOK_S)
    except asyncio.CancelledError:
        if session is not None:
            await session.socket.close()
        raise


async def _opened(open_next: Callable[[], Awaitable[WarmSession]]) -> WarmSession:
    outage = OutageLogger(log, begun="failed to open next voice session; retrying", over="next voice session opened")

    def failed(error: BridgeError, _: float) -> None:
        outage.failed(error=error.message)

    session = await retry(open_next, _BACKOFF, BridgeError, on_failure=failed, refused_too=True)
    outage.worked()
    return session
