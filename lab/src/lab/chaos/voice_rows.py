"""The rows of the table in which Voice Live is struck, or is what another fault has to do without."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lab.chaos import heard
from lab.chaos import voice_faults as voice
from lab.chaos.fleet import CONTROL, RELAY
from lab.chaos.row import EXTRA, GOES_ON, NEVER_SILENT, SAME_CONVERSATION, USUAL, Row, Target, gap, nothing

VOICE_ROWS: Final = (
    Row(
        name="voice-drop",
        fault="Voice Live: every session drops (1006)",
        inject=voice.voice_sessions("drop"),
        watch_s=6,
        targets=(*GOES_ON, *gap(1500), SAME_CONVERSATION, NEVER_SILENT),
        examine=heard.with_silences(voice.resumed_after("drop")),
    ),
    Row(
        name="voice-503",
        fault="Voice Live: sessions drop, 503 for 3 s",
        inject=voice.voice_refuses(503, 3.0),
        watch_s=9,
        targets=(*GOES_ON, Target("resumed_s", "<=", 1.5), SAME_CONVERSATION, NEVER_SILENT),
        examine=heard.with_silences(voice.resumed_after("reachable")),
    ),
    Row(
        name="voice-429",
        fault="Voice Live: sessions drop, 429 for 3 s",
        inject=voice.voice_refuses(429, 3.0),
        watch_s=9,
        targets=(*GOES_ON, Target("resumed_s", "<=", 1.5), SAME_CONVERSATION, NEVER_SILENT),
        examine=heard.with_silences(voice.resumed_after("reachable")),
    ),
    Row(
        name="voice-mute",
        fault="Voice Live: every session goes mute",
        inject=voice.voice_sessions("mute"),
        watch_s=10,
        targets=(
            *(*GOES_ON, Target("noticed_s", "<=", 2.5), Target("resumed_s", "<=", 4.0)),
            *(SAME_CONVERSATION, NEVER_SILENT),
        ),
        examine=heard.with_silences(voice.noticed_after("mute")),
    ),
    Row(
        name="voice-gone",
        fault="Voice Live: every session drops, none can be had any more; people are rung after 3 s",
        inject=voice.voice_gone_for_good,
        watch_s=7,
        targets=(Target("transferred_pct", "==", 100), NEVER_SILENT),
        examine=heard.with_silences(voice.handed_to_people),
        plan=replace(
            USUAL,
            extra={**EXTRA, RELAY: {"RECONNECT_BUDGET_S": "3"}, CONTROL: {"TRANSFER_TARGET": "+14255550199"}},
        ),
    ),
    Row(
        name="voice-expiry",
        fault="Voice Live: sessions live for 12 s only",
        inject=nothing,
        watch_s=14,
        targets=(*GOES_ON, *gap(200), Target("sessions_max", ">=", 2), SAME_CONVERSATION),
        plan=replace(USUAL, extra={**EXTRA, "voice-live": {**EXTRA["voice-live"], "SESSION_MAX_S": "12"}}),
    ),
)
