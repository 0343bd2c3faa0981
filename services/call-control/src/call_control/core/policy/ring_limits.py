"""Limits on incoming calls for an agent per minute, for each caller and in total.

Callers who hide their number cannot be distinguished, so they have no individual limit. Together they may use half of
the total: so hiding the number bypasses no limit, and callers with a number keep the other half.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from bridge_common.wire.entries import IncomingCall
from call_control.core.policy.parties import is_anonymous
from call_control.core.policy.routing import Rejected, Routed, redirect_unless_circular

OVER_LIMIT: Final = "over_limit"
"""End reason of a call that was rejected because of a limit."""
Treatment: TypeAlias = Literal["busy", "forbidden", "none", "redirect"]


class Limit(StrEnum):
    CALLER = "caller"
    ANONYMOUS = "anonymous"
    TOTAL = "total"


_SETTING: Final = {
    Limit.CALLER: "CALLS_PER_CALLER_PER_MIN",
    Limit.ANONYMOUS: "CALLS_PER_MIN",
    Limit.TOTAL: "CALLS_PER_MIN",
}


@dataclass(frozen=True, slots=True)
class RingLimits:
    """Limits in calls per minute; 0: no limit."""

    per_caller: int = 0
    total: int = 0
    treatment: Treatment = "busy"
    """Reject reason for calls above a limit, or `redirect`."""

    def of(self, caller: str) -> dict[Limit, int]:
        """Return the limits that apply to a caller (raw id), the narrowest first."""
        if is_anonymous(caller):
            own = {Limit.ANONYMOUS: max(1, self.total // 2) if self.total else 0}
        else:
            own = {Limit.CALLER: self.per_caller}
        return {limit: most for limit, most in (own | {Limit.TOTAL: self.total}).items() if most}

    def turn_away(self, call: IncomingCall, limit: Limit, target: str) -> Routed:
        """Route a call that is above `limit`. `target`: raw id of the fallback target, empty if there is none."""
        rule, reason = _SETTING[limit], f"above the limit of calls per minute ({limit})"
        if self.treatment == "redirect":
            if target:
                return redirect_unless_circular(target, call, rule, f"{reason}: redirect")
            return Routed(Rejected("busy", OVER_LIMIT), rule, f"{reason}: reject busy, no target is set")
        return Routed(Rejected(self.treatment, OVER_LIMIT), rule, f"{reason}: reject {self.treatment}")
