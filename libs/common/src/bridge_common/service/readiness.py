"""Logs the readiness that /readyz returns."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Final

from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.observability.telemetry import READY

log = logging.getLogger(__name__)

_FIGURES: Final = re.compile(r"[\d.]+")


async def log_readiness(reason_of: Callable[[], Awaitable[str]], port: int, poll_s: float = 0.5) -> None:
    """Log each change until canceled. `reason_of`: returns the reason why the service is not ready, or empty.

    Until the service is ready for the first time, every new reason is logged. After that, an outage is two lines, even
    if its reason changes meanwhile.
    """
    outage = OutageLogger(log, begun="not ready", over="ready again")
    was_ready, logged = False, ""
    while True:
        reason = await reason_of()
        READY.set(0 if reason else 1)
        # A reason may contain how long it has lasted.
        kind = _FIGURES.sub("", reason)
        if was_ready and reason:
            outage.failed(port=port, reason=reason)
        elif was_ready:
            outage.worked(port=port)
        elif not reason:
            log.info("ready", extra=fields(port=port))
            was_ready = True
        elif kind != logged:
            log.warning("not ready", extra=fields(port=port, reason=reason))
            logged = kind
        await asyncio.sleep(poll_s)
