"""The configuration of one session: defaults and `session.update`.

An update changes only the keys it contains. It replaces nested objects as a whole and fills them with defaults; `null`
disables a feature. If a key is unknown or a value is invalid, the whole update is rejected. Sources: Voice Live API
reference 2026-07-15; recorded traffic for the order of keys and the echoed defaults.
"""

from __future__ import annotations

from collections.abc import Mapping

from lab.voice_live.handshake import AgentMode, Mode
from lab.voice_live.server_events import Event, RefusedError
from lab.voice_live.session_fields import CHECKS, initial_transcription
from lab.voice_live.turn_config import initial_turn_detection
from lab.voice_live.voice import default_voice
from lab.voice_live.wire_values import unexpected

OPENAI_ONLY = frozenset({"speed", "tracing"})
GA_ONLY = frozenset({"truncation", "prompt", "include"})
NEWER_THAN_2025 = frozenset({"parallel_tool_calls", "reasoning_effort", "interim_response", "include", "metadata"})
_READ_ONLY = frozenset({"id", "object", "expires_at", "agent"})
_OPENAI_KEYS = frozenset(
    [
        "model",
        "modalities",
        "instructions",
        "voice",
        "input_audio_format",
        "output_audio_format",
        "input_audio_transcription",
        "input_audio_noise_reduction",
        "turn_detection",
        "tools",
        "tool_choice",
        "temperature",
        "max_response_output_tokens",
    ]
)
_REASONING_MODELS = "gpt-5"


def initial_session(session_id: str, mode: Mode, expires_at_s: int) -> Event:
    """Return the `session` object of `session.created`. `expires_at_s` in Unix seconds."""
    session: Event = {
        "id": session_id,
        "model": mode.reported_name,
        "modalities": ["audio"] if mode.native else ["text", "audio"],
        "instructions": None if isinstance(mode, AgentMode) else "You are a helpful voice assistant.",
        "voice": default_voice(mode),
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "input_audio_transcription": initial_transcription(mode),
        "input_audio_noise_reduction": None,
        "turn_detection": initial_turn_detection(mode),
        "tools": [],
        "tool_choice": "auto",
        "max_response_output_tokens": "inf",
        "expires_at": expires_at_s,
        "object": "realtime.session",
        "input_audio_sampling_rate": 24000,
        "animation": None,
        "input_audio_echo_cancellation": None,
        "avatar": None,
        "output_audio_timestamp_types": None,
        "truncation_strategy": None,
        "include": None,
        "greeting": None,
        "handoff": None,
    }
    if not mode.native or (mode.openai and not mode.ga):
        session["temperature"] = 0.8
    if not mode.native and mode.reported_name.startswith(_REASONING_MODELS):
        session |= {"temperature": 1.0, "reasoning_effort": "minimal"}
    if isinstance(mode, AgentMode):
        agent_id = mode.name if mode.classic else f"{mode.name}:{mode.version or '1'}"
        session["agent"] = {
            "type": "agent",
            "name": mode.name,
            "description": None,
            "agent_id": agent_id,
            "thread_id": None,
        }
    if mode.openai:
        session = {key: value for key, value in session.items() if key in _OPENAI_KEYS | _READ_ONLY}
        session |= {"speed": 1.0, "tracing": None}
    if mode.ga:
        session |= {"truncation": "auto", "prompt": None, "include": None}
    return session


def updated_session(
    session: Mapping[str, object], update: object, mode: Mode, *, spoken: bool, accept_agent: bool = False
) -> Event:
    """Return the whole session after `update`. `spoken`: assistant audio exists. Raises `RefusedError`."""
    if not isinstance(update, Mapping):
        raise RefusedError("'session' must be an object", "invalid_session_update_message", "session")
    changed = dict(session)
    for key, value in update.items():
        if key == "agent" and accept_agent:
            continue
        _refuse_key(key, mode)
        changed[key] = CHECKS[key](f"session.{key}", value, changed, mode)
    if spoken and _openai_voice(session) and changed["voice"] != session["voice"]:
        raise RefusedError("Cannot update a conversation's voice if assistant audio is present", "cannot_update_voice")
    return changed


def _openai_voice(session: Mapping[str, object]) -> bool:
    voice = session.get("voice")
    return isinstance(voice, str) or (isinstance(voice, Mapping) and voice.get("type") == "openai")


def _refuse_key(key: str, mode: Mode) -> None:
    if mode.openai:
        if key not in _OPENAI_KEYS | OPENAI_ONLY | (GA_ONLY if mode.ga else set()):
            raise RefusedError(f"Unknown parameter: 'session.{key}'.", "unknown_parameter", f"session.{key}")
        return
    if isinstance(mode, AgentMode) and key in {"instructions", "tools"}:
        text = f"Setting {key} is not supported in Agent mode"
        raise RefusedError(text, f"{key}_configuration_not_supported", f"session.{key}")
    too_new = key in NEWER_THAN_2025 and mode.api_version < "2026"
    if key not in CHECKS or too_new or key in OPENAI_ONLY | {"truncation", "prompt"}:
        raise unexpected(f"session.{key}")
