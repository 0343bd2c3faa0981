"""The next voice session of a call, made ready before the one it has expires: the service ends each after an hour."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from agent_relay.voice.warm_pool import WarmSession
from bridge_common.base.errors import BridgeError
from bridge_common.base.log import fields

log = logging.getLogger(__name__)

LEAD_S: Final = 240.0
"""So long before the end a quiet moment is looked for; of a short life, a quarter of it."""
_LAST_MOMENT: Final = 0.25
"""The part of that time that is left when the change is made in any case."""
_LOOK_S: Final = 0.05
_RETRY_S: Final = 2.0


async def next_session(
    life_s: float, is_quiet: Callable[[], bool], open_next: Callable[[], Awaitable[WarmSession]]
) -> WarmSession:
    """Return a session that may take over now. `life_s`: how long the current one lives.

    Until then the new one waits beside the old one. It is the caller's when it is returned.
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
    while True:
        try:
            return await open_next()
        except BridgeError as error:
            log.warning("no next voice session yet", extra=fields(error=error.message))
        await asyncio.sleep(_RETRY_S)
