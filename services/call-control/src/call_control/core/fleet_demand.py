"""How many calls each service must have capacity for, computed from the heartbeats of the fleet and the lease table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

CONTROL: Final = "call-control"
GATEWAY: Final = "media-gateway"
RELAY: Final = "agent-relay"
KINDS: Final = (CONTROL, GATEWAY, RELAY)


class LiveProcess(Protocol):
    """A process, as its heartbeat describes it."""

    @property
    def kind(self) -> str: ...

    @property
    def host(self) -> str: ...

    @property
    def capacity(self) -> int: ...

    @property
    def active(self) -> int: ...

    @property
    def draining(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class ScaleBuffer:
    """Free capacity for calls that arrive before new processes are ready: the larger of both."""

    calls: int
    percent: int
    """Percentage of the present calls."""

    def of(self, calls: int) -> int:
        return max(self.calls, math.ceil(calls * self.percent / 100))


@dataclass(frozen=True, slots=True, kw_only=True)
class KindDemand:
    """Calls of all processes of a service. `ringing`: calls that no live process of the service has yet."""

    calls: int
    ringing: int = 0
    buffer: int = 0
    capacity: int = 0
    """Maximum calls of the processes that accept calls. 0 for call-control, whose load is a rate."""
    live: int = 0
    draining: int = 0

    @property
    def demand(self) -> int:
        return self.calls + self.ringing + self.buffer


def demand_by_kind(processes: Iterable[LiveProcess], offered: int, buffer: ScaleBuffer) -> Mapping[str, KindDemand]:
    """`offered`: calls that need a relay, whether one has claimed them or not; each also needs a media socket.

    Only calls without a relay, such as calls that are connected to a person directly, are missing in `offered`. They
    are counted by the gateways as soon as they have media.
    """
    by_kind: dict[str, list[LiveProcess]] = {kind: [] for kind in KINDS}
    for process in processes:
        by_kind.setdefault(process.kind, []).append(process)
    calls = {kind: sum(process.active for process in of_kind) for kind, of_kind in by_kind.items()}
    demands: dict[str, KindDemand] = {}
    for kind in KINDS:
        live, draining = len(by_kind[kind]), sum(process.draining for process in by_kind[kind])
        if kind == CONTROL:
            demands[kind] = KindDemand(calls=max(offered, calls[GATEWAY]), live=live, draining=draining)
            continue
        ringing = max(offered - calls[kind], 0)
        demands[kind] = KindDemand(
            calls=calls[kind],
            ringing=ringing,
            buffer=buffer.of(calls[kind] + ringing),
            capacity=sum(process.capacity for process in by_kind[kind] if not process.draining),
            live=live,
            draining=draining,
        )
    return demands
