"""Rows of the table with faults of Voice Live, and with other faults while Voice Live limits connections."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lab.chaos import heard_gaps
from lab.chaos import process_faults as processes
from lab.chaos import voice_faults as voice
from lab.chaos.local_fleet import CONTROL, RELAY
from lab.chaos.row import (
    ALL_HEARD,
    EXTRA,
    GOES_ON,
    NEVER_SILENT,
    ONE_SESSION_HEARS,
    SAME_CONVERSATION,
    USUAL,
    ChaosRow,
    FaultTarget,
    gap,
    nothing,
)

_SOON_UNAVAILABLE: Final = {"RECONNECT_BUDGET_S": "3"}
_HUMAN_AGENTS: Final = {"TRANSFER_TARGET": "+14255550199"}
_APOLOGIZED: Final = (
    FaultTarget("apologized_pct", "==", 100),
    FaultTarget("apology_heard_pct", "==", 100),
    FaultTarget("hung_up_after_s", "<=", 2.0),
)
_CONNECTIONS: Final = 30
"""New connections a minute, the documented quota of a Voice Live resource."""
_FEW_CONNECTIONS: Final = 25
"""The smallest quota for twenty calls: new calls may use four fifths of it."""
_DRAINED_S: Final = 120
"""Observation time after the fault: after a minute the connections of the crowd no longer count."""

VOICE_ROWS: Final = (
    ChaosRow(
        name="voice-drop",
        fault="Voice Live: every session drops (1006)",
        inject=voice.voice_sessions("drop"),
        watch_s=6,
        targets=(*GOES_ON, *gap(1500), ALL_HEARD, SAME_CONVERSATION, NEVER_SILENT),
        examine=heard_gaps.with_silences(voice.resumed_after("drop")),
    ),
    ChaosRow(
        name="voice-close",
        fault="Voice Live: every session is closed with session_expired (1001)",
        inject=voice.voice_sessions("close"),
        watch_s=6,
        # After a close frame it is known what was heard; frames in transit at that time are lost with the session.
        targets=(*GOES_ON, *gap(1500), FaultTarget("repeated_uplink", "==", 0), SAME_CONVERSATION, NEVER_SILENT),
        examine=heard_gaps.with_silences(voice.resumed_after("close")),
    ),
    ChaosRow(
        name="voice-503",
        fault="Voice Live: sessions drop, 503 for 3 s",
        inject=voice.voice_refuses(503, 3.0),
        watch_s=9,
        targets=(*GOES_ON, FaultTarget("resumed_s", "<=", 1.5), SAME_CONVERSATION, NEVER_SILENT),
        examine=heard_gaps.with_silences(voice.resumed_after("reachable")),
    ),
    ChaosRow(
        name="voice-429",
        fault="Voice Live: sessions drop, 429 for 3 s",
        inject=voice.voice_refuses(429, 3.0),
        watch_s=9,
        targets=(*GOES_ON, FaultTarget("resumed_s", "<=", 1.5), SAME_CONVERSATION, NEVER_SILENT),
        examine=heard_gaps.with_silences(voice.resumed_after("reachable")),
    ),
    ChaosRow(
        name="voice-mute",
        fault="Voice Live: every session goes mute",
        inject=voice.voice_sessions("mute"),
        watch_s=10,
        targets=(
            *(*GOES_ON, FaultTarget("noticed_s", "<=", 2.5), FaultTarget("resumed_s", "<=", 4.0)),
            *(ALL_HEARD, SAME_CONVERSATION, NEVER_SILENT),
        ),
        examine=heard_gaps.with_silences(voice.noticed_after("mute")),
    ),
    ChaosRow(
        name="voice-gone",
        fault="Voice Live: every session drops, new ones are refused; human agents are called after 3 s",
        inject=voice.voice_gone_for_good,
        watch_s=7,
        targets=(FaultTarget("transferred_pct", "==", 100), NEVER_SILENT),
        examine=heard_gaps.with_silences(voice.transferred_calls),
        plan=replace(USUAL, extra={**EXTRA, RELAY: _SOON_UNAVAILABLE, CONTROL: _HUMAN_AGENTS}),
    ),
    ChaosRow(
        name="voice-gone-apology",
        fault="Voice Live: every session drops, new ones are refused, there is no transfer target: after 3 s the "
        "recorded apology, then we hang up",
        inject=voice.voice_gone_for_good,
        watch_s=11,
        targets=(*_APOLOGIZED, NEVER_SILENT),
        examine=heard_gaps.with_silences(heard_gaps.apologies),
        plan=replace(USUAL, extra={**EXTRA, RELAY: _SOON_UNAVAILABLE}),
        recorded=True,
    ),
    ChaosRow(
        name="voice-gone-untaken",
        fault="Voice Live: every session drops, new ones are refused; human agents are called after 3 s, for 3 s, and "
        "none answers: the recorded apology, then we hang up",
        inject=voice.gone_and_nobody_answers,
        watch_s=14,
        targets=(FaultTarget("rung_in_vain_pct", "==", 100), *_APOLOGIZED, NEVER_SILENT),
        examine=heard_gaps.with_silences(lambda *seen: voice.failed_transfers(*seen) | heard_gaps.apologies(*seen)),
        plan=replace(USUAL, extra={**EXTRA, RELAY: _SOON_UNAVAILABLE, CONTROL: _HUMAN_AGENTS}),
        recorded=True,
    ),
    ChaosRow(
        name="relay-crash-quota",
        fault="relay: kill -9 while Voice Live answers 429 beyond 30 new connections a minute; a minute after the "
        "crowd's own connections, when all 30 may be opened again",
        inject=processes.kill(RELAY),
        watch_s=8,
        targets=(
            *(*GOES_ON, *gap(2000, 3000), SAME_CONVERSATION),
            *(FaultTarget("refused_429", "==", 0), FaultTarget("most_connections", "<=", _CONNECTIONS)),
        ),
        examine=voice.quota_usage,
        plan=replace(
            USUAL,
            extra={
                **EXTRA,
                "voice-live": {**EXTRA["voice-live"], "NEW_CONNECTIONS_PER_MINUTE": str(_CONNECTIONS)},
                RELAY: {"VOICE_LIVE_CONNECTIONS_PER_MIN": str(_CONNECTIONS)},
            },
        ),
        before_dialing=voice.await_full_quota,
        before_fault=voice.await_full_quota,
    ),
    ChaosRow(
        name="relay-drain-slow",
        fault="relay: SIGTERM while Voice Live takes 2 s to set a session up",
        inject=processes.drain(RELAY),
        watch_s=5,
        targets=(*GOES_ON, *gap(200), *ONE_SESSION_HEARS, SAME_CONVERSATION, FaultTarget("exit_s", "<=", 30)),
        plan=replace(USUAL, extra={**EXTRA, "voice-live": {"SESSION_SETUP_S": "2.0"}}),
    ),
    ChaosRow(
        name="relay-drain-quota",
        fault="relay: SIGTERM while Voice Live answers 429 beyond 25 new connections a minute, 20 of which are taken",
        inject=processes.drain(RELAY, _DRAINED_S + 10),
        watch_s=5,
        targets=(
            *(*GOES_ON, *gap(200), *ONE_SESSION_HEARS, SAME_CONVERSATION, FaultTarget("exit_s", "<=", _DRAINED_S)),
            *(FaultTarget("refused_429", "==", 0), FaultTarget("most_connections", "<=", _FEW_CONNECTIONS)),
        ),
        examine=voice.quota_usage,
        before_dialing=voice.await_full_quota,
        plan=replace(
            USUAL,
            extra={
                **EXTRA,
                "voice-live": {**EXTRA["voice-live"], "NEW_CONNECTIONS_PER_MINUTE": str(_FEW_CONNECTIONS)},
                RELAY: {
                    "VOICE_LIVE_CONNECTIONS_PER_MIN": str(_FEW_CONNECTIONS),
                    "DRAIN_TIMEOUT_S": str(_DRAINED_S),
                },
            },
        ),
    ),
    ChaosRow(
        name="voice-expiry",
        fault="Voice Live: sessions live for 12 s only",
        inject=nothing,
        watch_s=14,
        targets=(*GOES_ON, *gap(200), *ONE_SESSION_HEARS, FaultTarget("sessions_max", ">=", 2), SAME_CONVERSATION),
        plan=replace(USUAL, extra={**EXTRA, "voice-live": {**EXTRA["voice-live"], "SESSION_MAX_S": "12"}}),
    ),
)
