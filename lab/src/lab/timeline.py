"""Formats the timeline events of the simulators as lines of text."""

from __future__ import annotations

from typing import Final

from lab.wire import Json

_LINES: Final[dict[tuple[str, str], str]] = {
    ("phone", "incoming_call_sent"): "phone     rings; Event Grid has delivered IncomingCall",
    ("voice", "session_created"): "voice     session opened",
    ("voice", "session_updated"): "voice     session ready",
    ("phone", "answered"): "phone     answered",
    ("phone", "media_open"): "phone     media socket open",
    ("phone", "call_connected"): "phone     connected",
    ("phone", "agent_starts"): "caller    hears the agent",
    ("phone", "agent_ends"): "caller    hears the agent stop",
    ("phone", "hold_tone"): "caller    hears the hold tone",
    ("phone", "caller_says"): "caller    says “{text}”",
    ("phone", "caller_ends"): "caller    stops speaking",
    ("voice", "speech_started"): "voice     speech_started: the caller speaks",
    ("voice", "speech_stopped"): "voice     speech_stopped",
    ("voice", "response_created"): "agent     begins to answer",
    ("voice", "response_done"): "agent     response {status}",
    ("voice", "agent_tool"): "agent     its platform calls the tool {name}",
    ("voice", "function_call"): "agent     calls the function {name}",
    ("voice", "mcp_call"): "agent     calls the MCP tool {name}",
    ("voice", "truncated"): "agent     item truncated to the {audio_end_ms} ms that were heard",
    ("phone", "stop_audio"): "phone     StopAudio, {cleared_ms} ms of the agent dropped",
    ("phone", "dtmf"): "caller    presses {tone}",
    ("phone", "media_closed"): "phone     media socket closed ({code})",
    ("phone", "media_streaming_failed"): "phone     MediaStreamingFailed",
    ("phone", "hang_up"): "phone     hung up by the {by}",
    ("phone", "ended"): "phone     ended",
    ("phone", "step_failed"): "caller    step failed: {reason}",
    ("phone", "wait_expired"): "caller    wait for {wait_for} timed out",
    ("phone", "transferred"): "phone     transferred to {target}",
    ("phone", "transfer_failed"): "phone     transfer to {target} failed: {reason}",
    ("phone", "participant_added"): "phone     {participant} joins",
    ("phone", "participant_not_reached"): "phone     {participant} not reached: {reason}",
    ("phone", "participant_removed"): "phone     {participant} is removed",
    ("phone", "participant_says"): "person    says “{text}”",
    ("phone", "participant_ends"): "person    stops speaking",
    ("phone", "participant_hears_agent"): "person    hears the agent",
    ("phone", "invitation_canceled"): "phone     invitation of {participant} canceled",
    ("phone", "left"): "phone     {participant} leaves",
    ("phone", "app_left"): "phone     the application leaves the call",
    ("phone", "hold"): "phone     {participant} on hold",
    ("phone", "unhold"): "phone     {participant} no longer on hold",
    ("phone", "rejected"): "phone     rejected",
    ("phone", "redirected"): "phone     redirected to {target}",
    ("voice", "closed"): "voice     session closed",
}


def format_event(side: str, event: Json) -> str:
    """Return the line for one event; empty if the event is not printed."""
    template = _LINES.get((side, str(event["event"])), "")
    try:
        return template.format_map(event)
    except KeyError:
        return template.split("{", maxsplit=1)[0].rstrip()
