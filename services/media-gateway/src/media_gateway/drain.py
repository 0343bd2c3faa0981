"""Leaving without hanging up on anybody, as long as the time given allows."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from bridge_common.base.log import fields
from media_gateway.admission import Admission

log = logging.getLogger(__name__)

GOING_AWAY: Final = 1001
_CLOSING_S: Final = 1.0
"""Kept of the time for closing what is left."""


async def drain(admission: Admission, timeout_s: float) -> None:
    """Take no more sockets, wait for the calls to end, close the sockets of those that have not (1001)."""
    admission.draining = True
    closing_s = min(_CLOSING_S, timeout_s / 4)
    try:
        async with asyncio.timeout(max(timeout_s - closing_s, 0)):
            await admission.empty()
        return
    except TimeoutError:
        log.warning("drain time is over, closing sockets", extra=fields(sockets=admission.active))
    except asyncio.CancelledError:
        close_all(admission)
        raise
    close_all(admission)
    await admission.empty()


def close_all(admission: Admission) -> None:
    for socket in admission.sockets():
        socket.end(GOING_AWAY, "the gateway is going away")
