"""Validation and defaults of `voice` (Voice Live API reference)."""

from __future__ import annotations

from collections.abc import Mapping

from lab.voice_live.handshake import AgentMode, Mode
from lab.voice_live.server_events import Event, RefusedError
from lab.voice_live.wire_values import is_number, is_one_of

OPENAI_VOICES = frozenset(["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"])
_AZURE_TYPES = frozenset({"azure-standard", "azure-platform", "azure-custom", "custom", "azure-personal"})
_NATIVE_TYPES = _AZURE_TYPES | {"openai", "avatar-voice-sync"}
_AZURE_KEYS = (
    "temperature",
    "custom_lexicon_url",
    "custom_text_normalization_url",
    "prefer_locales",
    "locale",
    "style",
    "pitch",
    "rate",
    "volume",
)
_NAMELESS = frozenset({"avatar-voice-sync"})


def default_voice(mode: Mode) -> str | Event:
    if not mode.native:
        name = "en-US-AvaMultilingualNeural" if isinstance(mode, AgentMode) else "en-US-AvaNeural"
        return _echo({"name": name, "type": "azure-standard"})
    if mode.openai:
        return "alloy"
    if mode.given_name == "azure-realtime":
        return {"name": "ava", "type": "azure-realtime-native"}
    return {"name": "marin" if mode.given_name.startswith("gpt-realtime-2") else "alloy", "type": "openai"}


def checked_voice(param: str, value: object, _session: Mapping[str, object], mode: Mode) -> str | Event:
    """Return the voice in the form that the service echoes: a name becomes an object. Raises `RefusedError`."""
    if mode.openai:
        if not isinstance(value, str) or value not in OPENAI_VOICES:
            raise RefusedError(
                f"Invalid value: {param} must be one of {', '.join(sorted(OPENAI_VOICES))}", "invalid_value", param
            )
        return value
    if isinstance(value, str):
        value = {"name": value, "type": "openai" if value in OPENAI_VOICES else "azure-standard"}
    if not isinstance(value, Mapping):
        raise RefusedError("The voice must be a name or an object", "invalid_voice_type", param)
    kind = value.get("type")
    _refuse_type(param, kind, mode)
    if not is_one_of(kind, _NAMELESS) and not (isinstance(value.get("name"), str) and value["name"]):
        raise RefusedError(f"A voice of type {kind} needs a name", "invalid_session_update_message", f"{param}.name")
    temperature = value.get("temperature")
    if temperature is not None and not is_number(temperature, 0, 1):
        raise RefusedError("The voice's temperature must be from 0 to 1", "invalid_session_update_message", param)
    return _echo(value)


def _echo(voice: Mapping[str, object]) -> Event:
    """Return the voice as the service echoes it. Azure voices contain all keys, even those that the client did not
    send.
    """
    empty = dict.fromkeys(_AZURE_KEYS) if voice.get("type") in _AZURE_TYPES else {}
    return {"name": voice.get("name"), "type": voice.get("type"), **empty, **voice}


def _refuse_type(param: str, kind: object, mode: Mode) -> None:
    if not mode.native:
        if not is_one_of(kind, _AZURE_TYPES):
            raise RefusedError("Only Azure voice is supported", "invalid_voice_type", param)
        return
    allowed = frozenset({"azure-realtime-native"}) if mode.given_name == "azure-realtime" else _NATIVE_TYPES
    if not is_one_of(kind, allowed):
        text = f"Voice type {kind!r} is not supported with {mode.given_name}; allowed: {', '.join(sorted(allowed))}"
        raise RefusedError(text, "invalid_voice_type", param)
