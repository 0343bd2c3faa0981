"""Who takes an incoming call: an agent profile, people, or nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from bridge_common.entries import IncomingCall


@dataclass(frozen=True, slots=True)
class Accepted:
    profile: str


@dataclass(frozen=True, slots=True)
class Redirected:
    target: str
    """Raw id."""


@dataclass(frozen=True, slots=True)
class Rejected:
    reason: str
    """`busy`, `forbidden` or `none`."""


Decision: TypeAlias = Accepted | Redirected | Rejected


@dataclass(frozen=True, slots=True)
class RoutingPolicy:
    """Every call goes to one agent profile, except those from refused callers."""

    profile: str = "default"
    refused_callers: frozenset[str] = frozenset()
    """Raw ids or numbers."""

    def decide(self, call: IncomingCall) -> Decision:
        if self.refused_callers & {call.caller, call.caller.removeprefix("4:")}:
            return Rejected("forbidden")
        return Accepted(self.profile)
