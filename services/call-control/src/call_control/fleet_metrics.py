"""Reports the fleet as metrics: every replica reports the same, from Redis."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from bridge_common.base.errors import OutsideError
from bridge_common.observability.telemetry import Label, gauge
from bridge_common.store.inbox import Inbox
from call_control import metrics
from call_control.core.fleet_demand import CONTROL, GATEWAY, KINDS
from call_control.fleet_view import FleetState, FleetView

_KIND: Final = Label("kind", KINDS)
_LIMITED: Final = Label("kind", _KIND.values - {CONTROL})
_CALLS: Final = gauge("bridge_fleet_calls", "Calls of all processes of a kind; of call-control: all calls", _KIND)
_CAPACITY: Final = gauge(
    "bridge_fleet_capacity_calls", "Maximum calls of the processes of a kind that do not drain", _LIMITED
)
_DEMAND: Final = gauge(
    "bridge_fleet_demand_calls",
    "Calls that a kind needs capacity for: its calls, ringing calls and a buffer",
    _KIND,
)
_PROCESSES: Final = gauge(
    "bridge_fleet_processes", "Processes with a recent heartbeat", _KIND, Label("state", ("live", "draining"))
)
_RINGING: Final = gauge("bridge_fleet_ringing_calls", "Calls that need a relay and have no media socket yet")


class FleetMetrics:
    """Reads the fleet and the length of its inbox every `poll_s`."""

    def __init__(self, view: FleetView, inbox: Inbox, poll_s: float = 2.0) -> None:
        self._view = view
        self._inbox = inbox
        self._poll_s = poll_s

    async def run(self) -> None:
        """Run until canceled. While Redis is unavailable, the metrics keep their values."""
        while True:
            with contextlib.suppress(OutsideError):
                _report(await self._view.read())
                metrics.INBOX_WAITING.set(await self._inbox.depth())
            await asyncio.sleep(self._poll_s)


def _report(state: FleetState) -> None:
    _RINGING.set(state.kinds[GATEWAY].ringing)
    for kind, found in state.kinds.items():
        _CALLS.labels(kind).set(found.calls)
        _DEMAND.labels(kind).set(found.demand)
        if kind != CONTROL:
            _CAPACITY.labels(kind).set(found.capacity)
        _PROCESSES.labels(kind, "live").set(found.live - found.draining)
        _PROCESSES.labels(kind, "draining").set(found.draining)
