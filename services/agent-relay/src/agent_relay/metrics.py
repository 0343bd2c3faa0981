"""What a relay counts."""

from __future__ import annotations

from typing import Final

from agent_relay.core.announcements.announcement_queue import Outcome
from agent_relay.core.dialog import debt
from agent_relay.voice.connection_quota import Urgency
from bridge_common.observability import telemetry
from bridge_common.observability.telemetry import Label

_RESOURCE: Final = Label("resource", most=64)
"""Of the settings."""

SESSIONS: Final = telemetry.counter(
    "bridge_relay_voice_sessions_total",
    "Voice sessions opened, by result",
    Label("result", ("open", "warm", "refused")),
)
WARM_SESSIONS: Final = telemetry.gauge("bridge_relay_warm_sessions", "Voice sessions that wait, configured, for a call")
LOST_SESSIONS: Final = telemetry.counter(
    "bridge_relay_voice_sessions_lost_total", "Voice sessions that broke during a call"
)
QUOTA_WAITS: Final = telemetry.counter(
    "bridge_relay_quota_waits_total", "Times no connection was left on a resource, by who asked",
    _RESOURCE, Label("urgency", (urgency.name.lower() for urgency in Urgency)),
)  # fmt: skip
PAUSES: Final = telemetry.counter(
    "bridge_relay_resource_pauses_total", "Times a resource was left alone by the fleet, by the refusal's status",
    _RESOURCE, Label("status", ("0", "401", "403", "429", "503")),
)  # fmt: skip
OVERDUE_SPEECH: Final = telemetry.counter(
    "bridge_relay_overdue_speech_total",
    "Speech owed to the caller that was not heard in time or whose response failed, by what followed",
    Label("kind", debt.DebtKind), Label("outcome", (*debt.DebtStep, "resumed", "put_off")),
)  # fmt: skip
BARGE_INS: Final = telemetry.counter("bridge_relay_barge_ins_total", "Times a caller interrupted the agent")
BAD_EVENTS: Final = telemetry.counter("bridge_relay_bad_events_total", "Malformed messages from Voice Live, dropped")
DROPPED_FRAMES: Final = telemetry.counter(
    "bridge_relay_dropped_frames_total", "Caller frames too old to send after the session was away"
)
SILENCED: Final = telemetry.gauge(
    "bridge_relay_silenced_calls", "Calls kept silent because their leases could not be renewed: they may be another's"
)
CLAIMS: Final = telemetry.counter(
    "bridge_relay_claims_total", "Calls claimed, new ones and taken over", Label("kind", ("new", "taken over"))
)
SAID: Final = telemetry.counter(
    "bridge_relay_says_told_total", "Texts of others, by what became of them", Label("outcome", Outcome)
)
TURNS: Final = telemetry.counter(
    "bridge_relay_turns_total", "Turns that were said and heard, by who said them", Label("role", ("caller", "agent"))
)
SESSION_SETUP: Final = telemetry.histogram(
    "bridge_relay_session_setup_seconds", "From the beginning of a voice session's handshake until it is configured",
    (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0), Label("kind", ("open", "warm")),
)  # fmt: skip
_LATENCY_BUCKETS: Final = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
FIRST_DELTA: Final = telemetry.histogram(
    "bridge_relay_first_delta_seconds",
    "From the end of the caller's say to the first audio from Voice Live",
    _LATENCY_BUCKETS,
)
FIRST_FRAME: Final = telemetry.histogram(
    "bridge_relay_first_frame_seconds", "From the end of the caller's say to the first frame that left for the caller",
    _LATENCY_BUCKETS,
)  # fmt: skip
