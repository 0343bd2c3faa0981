"""The log's word on readiness: the same that /readyz gives, and not before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from bridge_common.base.log import fields

log = logging.getLogger(__name__)

_AGAIN_S: Final = 1.0


async def log_when_ready(reason_of: Callable[[], Awaitable[str]], port: int) -> None:
    """Return once the service is ready. `reason_of`: empty, or the reason why it is not.

    Later outages are logged by whoever notices them.
    """
    logged = ""
    while True:
        reason = await reason_of()
        if not reason:
            log.info("ready", extra=fields(port=port))
            return
        if reason != logged:
            log.warning("not ready", extra=fields(port=port, reason=reason))
            logged = reason
        await asyncio.sleep(_AGAIN_S)
