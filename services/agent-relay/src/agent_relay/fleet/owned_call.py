"""What a relay process keeps of each call that it has claimed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeAlias

from agent_relay.call.relay import Relay
from bridge_common.store.leases import Claim
from bridge_common.wire.call_record import CallRecord


@dataclass(slots=True)
class OwnedCall:
    claim: Claim
    renewed_at: float
    """On the loop's clock, when the renewal that Redis took was sent."""
    task: asyncio.Task[None] | None = None
    relay: Relay | None = None
    record: CallRecord | None = None
    """As it was a moment ago, for the case that Redis loses it."""
    handing_over: asyncio.Task[None] | None = None

    def stop(self, why: str) -> None:
        if self.relay is not None:
            self.relay.stop(why)
        elif self.task is not None:
            self.task.cancel()


Holdings: TypeAlias = dict[Claim, OwnedCall]
