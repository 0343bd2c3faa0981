"""How a call's end reason is counted. The reason itself may hold any code of ACS; the metric's label may not."""

from __future__ import annotations

from typing import Final

from call_control.core.machine.call_events import KNOWN_CALLBACKS

_OF_OURS: Final = frozenset(
    {
        *("caller_hung_up", "redirected", "rejected", "on_behalf_of_callee", "over_limit", "ring_expired", "ended"),
        *("no_capacity", "no_voice", "voice_lost", "media_lost", "never_connected", "too_long"),
        *("transferred", "not_transferred"),
        *("hung_up_by_operator", "hung_up_by_agent", "hung_up_by_media-gateway"),
        *("acs_stale_context", "acs_gone", "acs_auth", "acs_throttled", "acs_unavailable", "acs_overtaken"),
    }
)
_ACS: Final = "acs_refused"
"""`acs_<code>` with any code."""
REASON_LABELS: Final = frozenset({*_OF_OURS, _ACS, *KNOWN_CALLBACKS})


def label_of(reason: str) -> str:
    """`CallDisconnected_0_7000` is counted as `CallDisconnected`: sender and caller decide about the numbers."""
    if reason in _OF_OURS:
        return reason
    if reason.startswith("acs_"):
        return _ACS
    return reason.partition("_")[0]
