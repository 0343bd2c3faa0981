"""One attempt to reach a person: an add or a transfer, as the application requested it and as it ended."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from typing import Literal

from lab.acs.calling_context import CallingContext
from lab.acs.party_identifiers import Identifier, Json


@dataclass(slots=True, eq=False)
class Invitation:
    kind: Literal["add", "transfer"]
    target: Identifier
    context: CallingContext
    caller_id: str | None = None
    display_name: str | None = None
    timeout_s: float = 0.0
    """Ringing time that the request allows; 0 if it sets none."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    began: float = field(default_factory=time.monotonic)
    outcome: str = "ringing"
    ringing: asyncio.Task[None] | None = None

    @property
    def open(self) -> bool:
        return self.outcome == "ringing"

    def json(self) -> Json:
        return {
            "t": self.began,
            "kind": self.kind,
            "target": self.target.raw_id,
            "outcome": self.outcome,
            "timeout_s": self.timeout_s,
            "caller_id": self.caller_id,
            "display_name": self.display_name,
            "sent": self.context.json(),
            "delivered": self.context.delivered_to(self.target),
        }
