"""Metrics of agent-relay. docs/telemetry.md describes them."""

from __future__ import annotations

from typing import Final

from agent_relay.core.announcements.announcement_queue import Outcome
from agent_relay.core.dialog import debt
from agent_relay.voice.connection_quota import Urgency
from bridge_common.observability import telemetry
from bridge_common.observability.telemetry import Label

_RESOURCE: Final = Label("resource", most=64)
"""Label: host of a configured Voice Live endpoint."""
_URGENCY: Final = Label("urgency", (urgency.name.lower() for urgency in Urgency))
_STATUS: Final = Label("status", ("0", "401", "403", "429", "503"))

SESSIONS: Final = telemetry.counter(
    "bridge_relay_voice_sessions_total",
    "Attempts to open a voice session, by result",
    Label("result", ("open", "warm", "refused")),
)
WARM_SESSIONS: Final = telemetry.gauge("bridge_relay_warm_sessions", "Configured voice sessions that wait for a call")
PROFILES_HASH: Final = telemetry.gauge(
    "bridge_relay_profiles_hash", "Hash of the agent profiles that new calls use; equal if their content is equal"
)
PROFILES_RELOADED: Final = telemetry.gauge(
    "bridge_relay_profiles_last_reload_successful", "0 while AGENT_PROFILES_FILE has mistakes or cannot be read"
)
PROFILES_RELOADED.set(1)  # without a file, too: an alert must be able to rely on 0
TOOLS_MISSING: Final = telemetry.counter(
    "bridge_relay_definitions_without_tools_total",
    "Versions of profiles with function tools that the definition of their voice agent lacks",
)
LOST_SESSIONS: Final = telemetry.counter("bridge_relay_voice_sessions_lost_total", "Voice sessions lost during a call")
QUOTA_WAITS: Final = telemetry.counter(
    "bridge_relay_quota_waits_total", "Times that no connection was left on a resource, by priority",
    _RESOURCE, _URGENCY,
)  # fmt: skip
PAUSES: Final = telemetry.counter(
    "bridge_relay_resource_pauses_total", "Pauses of Voice Live resources, by HTTP status of the error",
    _RESOURCE, _STATUS,
)  # fmt: skip
QUOTA: Final = telemetry.gauge(
    "bridge_voice_quota_connections",
    "New connections per minute (limit), and those that a running call may open now (free), of the whole fleet",
    _RESOURCE, Label("kind", ("limit", "free")),
)  # fmt: skip
OVERDUE_SPEECH: Final = telemetry.counter(
    "bridge_relay_overdue_speech_total",
    "Agent responses that were late or failed, by kind and next step",
    Label("kind", debt.DebtKind), Label("outcome", (*debt.DebtStep, "resumed", "put_off")),
)  # fmt: skip
BARGE_INS: Final = telemetry.counter("bridge_relay_barge_ins_total", "Times that a caller interrupted the agent")
BAD_EVENTS: Final = telemetry.counter("bridge_relay_bad_events_total", "Malformed messages from Voice Live")
DROPPED_FRAMES: Final = telemetry.counter(
    "bridge_relay_dropped_frames_total", "Caller frames dropped because they were too old when the session was restored"
)
MUTED_CALLS: Final = telemetry.gauge(
    "bridge_relay_muted_calls", "Calls muted because their leases could not be renewed"
)
CLAIMS: Final = telemetry.counter(
    "bridge_relay_claims_total", "Calls claimed, new or from another relay", Label("kind", ("new", "taken over"))
)
ANNOUNCEMENTS: Final = telemetry.counter(
    "bridge_relay_announcements_total", "Announcements, by outcome", Label("outcome", Outcome)
)
TURNS: Final = telemetry.counter(
    "bridge_relay_turns_total", "Turns of callers and of the agent", Label("role", ("caller", "agent"))
)
SESSION_SETUP: Final = telemetry.histogram(
    "bridge_relay_session_setup_seconds", "Time from the start of the handshake to the configured session",
    (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0), Label("kind", ("open", "warm")),
)  # fmt: skip
_LATENCY_BUCKETS: Final = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
FIRST_DELTA: Final = telemetry.histogram(
    "bridge_relay_first_delta_seconds",
    "Time from the end of the caller's speech to the first audio of the response",
    _LATENCY_BUCKETS,
)
FIRST_FRAME: Final = telemetry.histogram(
    "bridge_relay_first_frame_seconds",
    "Time from the end of the caller's speech to the first frame of the response for the caller",
    _LATENCY_BUCKETS,
)


# Old names, to be removed in the next release.
_SILENCED_CALLS: Final = telemetry.gauge("bridge_relay_silenced_calls", "Deprecated name of bridge_relay_muted_calls")
_SAYS_TOLD: Final = telemetry.counter(
    "bridge_relay_says_told_total", "Deprecated name of bridge_relay_announcements_total", Label("outcome", Outcome)
)


def know_resource(resource: str) -> None:
    """Create the series of a Voice Live resource."""
    for urgency in _URGENCY.values:
        QUOTA_WAITS.labels(resource, urgency)
    for status in _STATUS.values:
        PAUSES.labels(resource, status)


def set_muted_calls(count: int) -> None:
    MUTED_CALLS.set(count)
    _SILENCED_CALLS.set(count)


def count_announcement(outcome: str) -> None:
    ANNOUNCEMENTS.labels(outcome).inc()
    _SAYS_TOLD.labels(outcome).inc()
