"""Readiness in the log: the same verdict that /readyz returns."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import Final

from bridge_common.base.log import fields

log = logging.getLogger(__name__)

_POLL_S: Final = 0.5
_FIGURES: Final = re.compile(r"[\d.]+")


async def log_readiness(reason_of: Callable[[], Awaitable[str]], port: int) -> None:
    """Log each change until canceled. `reason_of`: empty, or the reason why the service is not ready.

    Until the service is ready for the first time, every new reason is logged. After that, an outage is two lines, even
    if its reason changes meanwhile.
    """
    unready_since: float | None = None
    was_ready, logged = False, ""
    while True:
        reason = await reason_of()
        # A reason may contain how long it has lasted.
        kind = _FIGURES.sub("", reason)
        if not reason and not was_ready:
            log.info("ready", extra=fields(port=port))
            was_ready = True
        elif not reason and unready_since is not None:
            lasted_s = round(time.monotonic() - unready_since, 3)
            log.warning("ready again", extra=fields(port=port, lasted_s=lasted_s))
            unready_since = None
        elif reason and (unready_since is None if was_ready else kind != logged):
            log.warning("not ready", extra=fields(port=port, reason=reason))
            logged = kind
            unready_since = time.monotonic() if was_ready else None
        await asyncio.sleep(_POLL_S)
