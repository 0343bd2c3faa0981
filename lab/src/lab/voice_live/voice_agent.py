"""The session object of a Foundry voice agent, which is that of OpenAI Realtime GA with more fields. No I/O.

Source: `VoiceAgentSessionUpdateConfig` and `VoiceAgentSessionResponseConfig` of `azure-ai-projects` 2.10.0.
"""

from __future__ import annotations

from collections.abc import Mapping

from lab.scenario import VoiceAgentDefinition
from lab.voice_live.ga_dialect import flat_update, ga_session
from lab.voice_live.server_events import Event, event, new_id

_OPENAI_ONLY = frozenset({"truncation", "prompt", "tracing"})
_SAME = ("interim_response", "greeting", "metadata", "parallel_tool_calls", "temperature")
"""Fields with the same name and value in Voice Live."""


def defined(flat: Mapping[str, object], definition: VoiceAgentDefinition) -> Event:
    """Return the session as the definition configures it."""
    greeting = None if definition.greeting is None else {"type": "template", "template": definition.greeting}
    formats = dict.fromkeys(("input_audio_format", "output_audio_format"), definition.audio_format)
    return {**flat, **formats, "tools": [dict(tool) for tool in definition.tools], "greeting": greeting}


def flat_overrides(given: object) -> Event:
    """Return the Voice Live form of a `session.update`. Raises `RefusedError`."""
    if not isinstance(given, Mapping):
        return flat_update(given)
    rest, own = dict(given), {name: given[name] for name in _SAME if name in given}
    for name in own:
        del rest[name]
    audio = {side: dict(fields) for side, fields in _objects(rest.pop("audio", None))}
    listening, speaking = audio.get("input", {}), audio.get("output", {})
    if "echo_cancellation" in listening:
        own["input_audio_echo_cancellation"] = listening.pop("echo_cancellation")
    known = {name: speaking.pop(name) for name in ("format", "speed") if name in speaking}
    if speaking:
        voice = {"name": speaking.pop("voice", None), "type": speaking.pop("voice_type", "azure-standard")}
        own["voice"] = {**voice, **speaking}
    return flat_update({**rest, "audio": {**audio, "output": known}}) | own


def _objects(audio: object) -> list[tuple[str, Mapping[str, object]]]:
    given = audio if isinstance(audio, Mapping) else {}
    return [(side, fields) for side, fields in given.items() if isinstance(fields, Mapping)]


def on_the_wire(sent: Event, flat: Mapping[str, object]) -> Event:
    """Return the event with the session object of a voice agent. `flat`: the session in Voice Live form."""
    if not isinstance(sent.get("session"), Mapping):
        return sent
    session = {key: value for key, value in ga_session(flat).items() if key not in _OPENAI_ONLY}
    audio, voice = session["audio"], flat.get("voice")
    assert isinstance(audio, dict)
    if isinstance(voice, Mapping):
        audio["output"] |= {"voice": voice.get("name"), "voice_type": voice.get("type")}
    audio["input"]["echo_cancellation"] = flat.get("input_audio_echo_cancellation")
    return {**sent, "session": session | {name: flat.get(name) for name in _SAME}}


def extra_events() -> list[Event]:
    """Events that only voice agents send, and that a client of the telephone must ignore."""
    id_ = new_id("resp")
    return [
        event("session.subagent.started", subagent={"id": id_, "name": "back-office"}),
        event("session.subagent.completed", subagent={"id": id_, "name": "back-office"}),
        event("output_audio_buffer.started", response_id=id_),
        event("output_audio_buffer.stopped", response_id=id_),
        event("input_audio_buffer.timeout_triggered", audio_start_ms=0, audio_end_ms=0, item_id=new_id("item")),
        event("input_audio_buffer.dtmf_event_received", event="5", received_at=0),
    ]
