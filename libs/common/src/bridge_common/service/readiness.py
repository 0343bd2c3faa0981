"""Readiness: whether a process works, as /readyz returns it and as the log reports it.

Kubernetes removes unready pods first and evicts them, so a process is ready as long as it works: also when it is full,
and while Redis is unavailable for less time than a failover takes (docs/adr/0045).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.base.refusals import Fault
from bridge_common.observability.telemetry import READY

log = logging.getLogger(__name__)

_FIGURES: Final = re.compile(r"[\d.]+")


@dataclass(frozen=True, slots=True)
class Readiness:
    """`reason`: why the process is not ready, empty if it is. `degraded`: why it is ready, but works with limits."""

    reason: str = ""
    degraded: str = ""


class ReadinessGate:
    """Decides whether a process is ready. `unready_after_s`: how long a fault may last; before the process was ready
    for the first time, no fault is tolerated, so that a roll-out with wrong settings does not continue.
    """

    def __init__(self, unready_after_s: float) -> None:
        self._unready_after_s = unready_after_s
        self._was_ready = False

    def judge(
        self, *, blocked: str = "", faults: Iterable[Fault | None] = (), at_start: str = "", degraded: str = ""
    ) -> Readiness:
        """`blocked`: reason that always counts. `at_start`: reason that counts only until the process was ready for the
        first time, and is a limit after that.
        """
        found = [fault for fault in faults if fault is not None]
        if blocked:
            return Readiness(blocked)
        if not self._was_ready and (found or at_start):
            return Readiness(found[0].reason if found else at_start)
        self._was_ready = True
        for fault in found:
            if fault.age_s >= self._unready_after_s:
                return Readiness(fault.reason)
        limits = [*(fault.reason for fault in found), at_start, degraded]
        return Readiness(degraded="; ".join(limit for limit in limits if limit))


async def log_readiness(readiness: Callable[[], Awaitable[Readiness]], port: int, poll_s: float = 0.5) -> None:
    """Log each change between ready and not ready until canceled.

    Until the service is ready for the first time, every new reason is logged. After that, an outage is two lines, even
    if its reason changes meanwhile.
    """
    outage = OutageLogger(log, begun="not ready", over="ready again")
    was_ready, logged = False, ""
    while True:
        reason = (await readiness()).reason
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
