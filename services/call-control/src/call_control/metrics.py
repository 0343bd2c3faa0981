"""Metrics of call-control."""

from __future__ import annotations

from itertools import product
from typing import Final, get_args

from bridge_common.observability.telemetry import OTHER, Label, counter, gauge, histogram
from bridge_common.wire.action_kinds import ACTION_KINDS, ATTENDED, BLIND, TRANSFER
from bridge_common.wire.call_record import CallAction, Status
from bridge_common.wire.entries import InboxEntry
from call_control.acs_client import AcsRefusal
from call_control.core.machine.action_book import argument_of
from call_control.core.machine.call_commands import ToAcs, Transfer
from call_control.core.machine.call_events import KNOWN_CALLBACKS
from call_control.core.machine.requested_actions import CALL_ENDED
from call_control.core.machine.unreached import REFUSED
from call_control.core.policy.ring_limits import Limit

_END_REASONS: Final = frozenset(
    {
        *("caller_hung_up", "redirected", "rejected", "on_behalf_of_callee", "over_limit", "ring_expired", "ended"),
        *("no_capacity", "no_voice", "voice_lost", "media_lost", "never_connected", "too_long"),
        *("transferred", "not_transferred", "not_connected", "person_left"),
        *("hung_up_by_operator", "hung_up_by_agent", "hung_up_by_silence_policy", "hung_up_by_media-gateway"),
        *("acs_stale_context", "acs_gone", "acs_auth", "acs_throttled", "acs_unavailable", "acs_overtaken"),
    }
)
_ACS: Final = "acs_refused"
"""Label of all end reasons `acs_<code>` with other codes."""
REASON_LABELS: Final = frozenset({*_END_REASONS, _ACS, *KNOWN_CALLBACKS})
_COMMAND: Final = Label("command", (command.__name__ for command in get_args(ToAcs)))

CALLS: Final = counter("bridge_calls_total", "Calls by status reached, once per status", Label("status", Status))
ENDED: Final = counter("bridge_calls_ended_total", "Ended calls, by reason", Label("reason", REASON_LABELS))
UNREACHED: Final = frozenset(
    {
        *("busy", "declined", "no_answer", "wrong_number", "unreachable", "not_confirmed", "refused", "unknown"),
        *("canceled", "call_ended", "rejected"),
    }
)
"""Outcomes of transfers and invitations that did not reach the person."""
TRANSFERS: Final = counter(
    "bridge_transfers_total",
    "Transfers that operators and agents requested, by outcome",
    Label("mode", ("attended", "blind")),
    Label("outcome", ("connected", *UNREACHED)),
)
PARTICIPANTS_ADDED: Final = counter(
    "bridge_participants_added_total",
    "Invitations of people into calls, by outcome",
    Label("outcome", ("joined", *UNREACHED)),
)
OVER_LIMIT: Final = counter(
    "bridge_calls_over_limit",
    "Calls redirected or rejected because of a limit on incoming calls",
    Label("limit", Limit),
)
OUTDATED: Final = counter(
    "bridge_calls_outdated", "Calls not answered because their event was older than the ring time"
)
ACTIONS: Final = counter(
    "bridge_call_actions_total",
    "Actions that operators, agents and callers requested, by outcome",
    Label("kind", ACTION_KINDS),
    Label("outcome", ("done", "failed", "canceled")),
)
CALL: Final = histogram(
    "bridge_call_seconds",
    "Duration of calls, from connected to the end",
    (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0),
)
HANG_UPS_REPEATED: Final = counter("bridge_hang_ups_repeated", "Hang-ups repeated because ACS had not confirmed them")
HANG_UPS_ABANDONED: Final = counter(
    "bridge_hang_ups_abandoned", "Hang-ups that ACS did not confirm; the caller may still be connected"
)
ANSWER: Final = histogram(
    "bridge_answer_seconds",
    "Time from the ring (the webhook) to the answer request, the connected call, or its first media socket",
    (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0),
    Label("until", ("answer", "connected", "media")),
)  # fmt: skip
ENTRIES: Final = counter(
    "bridge_inbox_entries_total",
    "Processed inbox entries, by kind",
    Label("kind", (kind.__name__ for kind in get_args(InboxEntry))),
)
INBOX_WAITING: Final = gauge("bridge_inbox_waiting", "Inbox entries that are not processed yet")
INBOX_WAIT: Final = histogram(
    "bridge_inbox_wait_seconds", "Time from an entry's arrival in the inbox to the start of its processing",
    (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)  # fmt: skip
ACS_REQUESTS: Final = counter(
    "bridge_acs_requests_total", "Commands to ACS by outcome", _COMMAND, Label("outcome", ("done", *AcsRefusal))
)
ACS_REQUEST: Final = histogram(
    "bridge_acs_request_seconds", "Duration of commands to ACS, retries included",
    (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0), _COMMAND,
)  # fmt: skip
WEBHOOK_EVENTS: Final = counter(
    "bridge_webhook_events_total", "Events that Azure posted, by kind and outcome",
    Label("kind", ("IncomingCall", *KNOWN_CALLBACKS, OTHER)),
    Label("outcome", ("new", "duplicate", "ignored", "refused")),
    series=(
        *product(("IncomingCall", *sorted(KNOWN_CALLBACKS)), ("new", "duplicate")),
        *product((OTHER,), ("ignored", "refused")),
    ),
)  # fmt: skip
FOREIGN_CALLBACKS: Final = counter(
    "bridge_foreign_callbacks_total",
    "Callbacks ignored because they belong to another call, by event type",
    Label("kind", KNOWN_CALLBACKS),
)


def end_reason_label(reason: str) -> str:
    """Return the label of an end reason. `CallDisconnected_0_7000` is counted as `CallDisconnected`: codes of ACS must
    not increase the number of label values.
    """
    if reason in _END_REASONS:
        return reason
    if reason.startswith("acs_"):
        return _ACS
    return reason.partition("_")[0]


def outcome_label(action: CallAction) -> str:
    """Return the label of the outcome of a transfer or an invitation. Codes and explanations are not part of it."""
    if action.state == "done":
        return "connected" if action.kind == TRANSFER else "joined"
    if action.state == "canceled":
        return "canceled"
    if action.reason == CALL_ENDED:
        return "call_ended"
    # A request that was not possible has a sentence as its reason.
    reason = REFUSED if action.reason.startswith(f"{REFUSED} ") else action.reason
    return reason if reason in UNREACHED else "rejected"


def mode_label(action: CallAction) -> str:
    """Return the mode of a transfer; `attended` if it ended before its mode was known."""
    if action.operation:
        return BLIND if action.operation.startswith(Transfer.__name__) else ATTENDED
    return argument_of(action, "mode") or ATTENDED
