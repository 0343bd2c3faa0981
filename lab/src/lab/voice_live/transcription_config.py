"""The `input_audio_transcription` object: accepted and echoed values of each pipeline (recorded traffic)."""

from __future__ import annotations

from collections.abc import Mapping

from lab.voice_live.handshake import Mode
from lab.voice_live.server_events import Event
from lab.voice_live.wire_values import bad_session_value, unexpected

_OPENAI_KEYS = ("model", "language", "prompt")
_KEYS = (*_OPENAI_KEYS, "delay", "custom_speech", "phrase_list")


def initial_transcription(mode: Mode) -> Event | None:
    """Cascaded pipelines always transcribe: their model needs text."""
    return None if mode.native else dict.fromkeys(_KEYS) | {"model": "azure-speech"}


def checked_transcription(param: str, value: object, _session: Mapping[str, object], mode: Mode) -> Event | None:
    """Return the echo, which contains all keys, also those that the client did not send. Raises `RefusedError`."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or not isinstance(model := value.get("model"), str):
        raise bad_session_value(param, "an object with a model, or null")
    keys = _OPENAI_KEYS if mode.openai else _KEYS
    for key in value.keys() - set(keys):
        raise unexpected(f"{param}.{key}")
    if not mode.native and not _of_azure(model):
        raise bad_session_value(f"{param}.model", f"azure-speech or mai-transcribe for cascaded models, not {model!r}")
    echo: Event = {key: value.get(key) for key in keys}
    return echo if mode.native else echo | {"language": value.get("language") or ""}


def _of_azure(model: str) -> bool:
    """Native models of Voice Live accept these and those of OpenAI."""
    return model == "azure-speech" or model.startswith("mai-transcribe")
