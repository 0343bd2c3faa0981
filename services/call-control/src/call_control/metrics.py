"""What call-control counts."""

from __future__ import annotations

from typing import Final

from bridge_common.telemetry import counter, gauge, histogram

CALLS: Final = counter("bridge_calls_total", "Calls by the status they came to, once for each", "status")
OVER_LIMIT: Final = counter("bridge_calls_over_limit", "Calls turned away because of a limit on ringing calls", "limit")
OUTDATED: Final = counter(
    "bridge_calls_outdated", "Calls not answered because their event was older than the ring time"
)
ENDED: Final = counter("bridge_calls_ended_total", "Calls that are over, by reason", "reason")
ANSWER: Final = histogram(
    "bridge_answer_seconds",
    "From the ring (the webhook) until the answer was asked for, the call was connected, its media socket was there",
    (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0), "until",
)  # fmt: skip
ENTRIES: Final = counter("bridge_inbox_entries_total", "Inbox entries worked off, by kind", "kind")
INBOX_WAITING: Final = gauge("bridge_inbox_waiting", "Inbox entries that nobody has worked off yet")
INBOX_WAIT: Final = histogram(
    "bridge_inbox_wait_seconds", "From an entry's arrival in the inbox until somebody works on it",
    (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)  # fmt: skip
ACS_REQUESTS: Final = counter("bridge_acs_requests_total", "Commands to ACS by outcome", "command", "outcome")
ACS_REQUEST: Final = histogram(
    "bridge_acs_request_seconds", "What a command to ACS took, with the retries of its SDK",
    (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0), "command",
)  # fmt: skip
WEBHOOK_EVENTS: Final = counter(
    "bridge_webhook_events_total", "Events that Azure posted, by kind and what became of them", "kind", "fate"
)
