"""Reports the fleet as metrics: every replica reports the same, from Redis."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Final

from bridge_common.base.errors import OutsideError
from bridge_common.observability.telemetry import Label, gauge
from bridge_common.store.fleet import Fleet, Member
from bridge_common.store.leases import Leases

_CONTROL: Final = "call-control"
_GATEWAY: Final = "media-gateway"
_KIND: Final = Label("kind", (_CONTROL, _GATEWAY, "agent-relay"))
_LIMITED: Final = Label("kind", _KIND.values - {_CONTROL})
_CALLS: Final = gauge("bridge_fleet_calls", "Calls of all processes of a kind; of call-control: all calls", _KIND)
_CAPACITY: Final = gauge(
    "bridge_fleet_capacity_calls", "Maximum calls of the processes of a kind that do not drain", _LIMITED
)
_PROCESSES: Final = gauge(
    "bridge_fleet_processes", "Processes with a recent heartbeat", _KIND, Label("state", ("live", "draining"))
)
_RINGING: Final = gauge("bridge_fleet_ringing_calls", "Calls that need a relay and have no media socket yet")


class FleetMetrics:
    """Reads the fleet every `poll_s`."""

    def __init__(self, fleet: Fleet, leases: Leases, poll_s: float = 2.0) -> None:
        self._fleet = fleet
        self._leases = leases
        self._poll_s = poll_s

    async def run(self) -> None:
        """Run until canceled. While Redis is unavailable, the metrics keep their values."""
        while True:
            with contextlib.suppress(OutsideError):
                _report((await self._fleet.live()).values(), await self._leases.count())
            await asyncio.sleep(self._poll_s)


def _report(members: Iterable[Member], offered: int) -> None:
    """`offered`: calls that need a relay, claimed or not."""
    found = list(members)
    calls = {kind: sum(member.active for member in found if member.kind == kind) for kind in _KIND.values}
    _RINGING.set(max(offered - calls[_GATEWAY], 0))
    # Its heartbeat has inbox entries; its capacity is a rate.
    calls[_CONTROL] = max(offered, calls[_GATEWAY])
    for kind in _KIND.values:
        of_kind = [member for member in found if member.kind == kind]
        live = [member for member in of_kind if not member.draining]
        _CALLS.labels(kind).set(calls[kind])
        if kind in _LIMITED.values:
            _CAPACITY.labels(kind).set(sum(member.capacity for member in live))
        _PROCESSES.labels(kind, "live").set(len(live))
        _PROCESSES.labels(kind, "draining").set(len(of_kind) - len(live))
