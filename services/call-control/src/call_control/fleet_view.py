"""The fleet as any replica sees it in Redis: one read of the heartbeats, and the length of each shard's lease table.

The cost grows with processes and shards, not with calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge_common.store.fleet import Fleet, Member
from bridge_common.store.leases import Leases
from call_control.core.fleet_demand import KindDemand, ScaleBuffer, demand_by_kind


@dataclass(frozen=True, slots=True)
class FleetState:
    processes: Sequence[Member]
    """Live processes, by name."""
    kinds: Mapping[str, KindDemand]


@dataclass(frozen=True, slots=True)
class FleetView:
    fleet: Fleet
    leases: Leases
    buffer: ScaleBuffer

    async def read(self) -> FleetState:
        """Raises `OutsideError` if a server of Redis does not answer: a part of the calls would be missing."""
        # A call that is claimed between both reads counts as ringing, and not twice.
        members = (await self.fleet.live()).values()
        kinds = demand_by_kind(members, await self.leases.count(), self.buffer)
        return FleetState(sorted(members, key=lambda member: member.name), kinds)
