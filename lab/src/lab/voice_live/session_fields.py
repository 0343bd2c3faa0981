"""Validation of the fields of `session.update` (Voice Live API reference 2026-07-15). No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab.voice_live.audio_formats import INPUT_FORMATS, INPUT_RATES_HZ, OPENAI_OUTPUT_FORMATS, OUTPUT_RATES_HZ
from lab.voice_live.handshake import Mode
from lab.voice_live.server_events import Event
from lab.voice_live.turn_config import checked_turn_detection
from lab.voice_live.voice import checked_voice
from lab.voice_live.wire_values import bad_session_value, is_number, is_one_of, is_whole, unexpected

Check = Callable[[str, object, Mapping[str, object], Mode], object]
"""Function that receives (path of the field, given value, current session, mode) and returns the value to store. Raises
`RefusedError`.
"""

_OPENAI_TRANSCRIPTION = ("model", "language", "prompt")
_TRANSCRIPTION = (*_OPENAI_TRANSCRIPTION, "delay", "custom_speech", "phrase_list")


def _model(param: str, value: object, session: Mapping[str, object], mode: Mode) -> object:
    if value not in (session["model"], mode.given_name):
        raise bad_session_value(param, f"{session['model']!r}: the model of a session cannot change")
    return session["model"]


def _modalities(param: str, value: object, _session: Mapping[str, object], _mode: Mode) -> object:
    known = {"text", "audio", "animation", "avatar"}
    if not isinstance(value, list) or not value or not all(isinstance(part, str) and part in known for part in value):
        raise bad_session_value(param, f"a list of {', '.join(sorted(known))}")
    if "text" not in value:
        raise bad_session_value(param, '["text"] or ["text","audio"]')
    return value


def _text(param: str, value: object, session: Mapping[str, object], _mode: Mode) -> object:
    if value is not None and not isinstance(value, str):
        raise bad_session_value(param, "a string")
    return value or session["instructions"]


def _input_format(param: str, value: object, _session: Mapping[str, object], _mode: Mode) -> object:
    if not is_one_of(value, INPUT_FORMATS):
        raise bad_session_value(param, " or ".join(sorted(INPUT_FORMATS)))
    return value


def _output_format(param: str, value: object, _session: Mapping[str, object], mode: Mode) -> object:
    name = str(value).replace("pcm16-", "pcm16_")  # The form in early documentation.
    allowed = OPENAI_OUTPUT_FORMATS if mode.openai else OUTPUT_RATES_HZ.keys()
    if name not in allowed:
        raise bad_session_value(param, " or ".join(sorted(allowed)))
    return name


def _sampling_rate(param: str, value: object, _session: Mapping[str, object], _mode: Mode) -> object:
    if not is_one_of(value, INPUT_RATES_HZ):
        raise bad_session_value(param, " or ".join(map(str, sorted(INPUT_RATES_HZ))))
    return value


def _of_type(kinds: frozenset[str]) -> Check:
    def check(param: str, value: object, _session: Mapping[str, object], _mode: Mode) -> object:
        if value is not None and (not isinstance(value, Mapping) or not is_one_of(value.get("type"), kinds)):
            raise bad_session_value(param, f"an object of type {' or '.join(sorted(kinds))}, or null")
        return value

    return check


def _noise_reduction(param: str, value: object, session: Mapping[str, object], mode: Mode) -> object:
    kinds = {"near_field", "far_field"} | (set() if mode.openai else {"azure_deep_noise_suppression"})
    return _of_type(frozenset(kinds))(param, value, session, mode)


def _echo_cancellation(param: str, value: object, session: Mapping[str, object], mode: Mode) -> object:
    checked = _of_type(frozenset({"server_echo_cancellation"}))(param, value, session, mode)
    return {"reference_source": "server", "channels": 1} | checked if isinstance(checked, dict) else checked


def _tools(param: str, value: object, _session: Mapping[str, object], _mode: Mode) -> object:
    if not isinstance(value, list):
        raise bad_session_value(param, "a list")
    for number, tool in enumerate(value):
        if not isinstance(tool, Mapping) or not is_one_of(tool.get("type"), ("function", "mcp", "foundry_agent")):
            raise bad_session_value(f"{param}[{number}]", "a tool of type function, mcp or foundry_agent")
        if tool["type"] == "function" and not isinstance(tool.get("name"), str):
            raise bad_session_value(f"{param}[{number}].name", "a string: function tools are flat")
    return value


def _temperature(param: str, value: object, _session: Mapping[str, object], _mode: Mode) -> object:
    if value is not None and not is_number(value, 0.0, 1.2):
        raise bad_session_value(param, "a number from 0 to 1.2")
    return value


def _max_tokens(param: str, value: object, _session: Mapping[str, object], _mode: Mode) -> object:
    if value != "inf" and not is_whole(value, 1, 4096):
        raise bad_session_value(param, 'an integer from 1 to 4096, or "inf"')
    return value


def _words_only(param: str, value: object, _session: Mapping[str, object], _mode: Mode) -> object:
    if value is not None and value != ["word"]:
        raise bad_session_value(param, '["word"] or null')
    return value


def _speed(param: str, value: object, _session: Mapping[str, object], _mode: Mode) -> object:
    if not is_number(value, 0.25, 1.5):
        raise bad_session_value(param, "a number from 0.25 to 1.5")
    return value


def _anything(_param: str, value: object, _session: Mapping[str, object], _mode: Mode) -> object:
    return value


def initial_transcription(mode: Mode) -> Event | None:
    """Return the initial transcription settings. Cascaded pipelines always transcribe: their model needs text."""
    return None if mode.native else dict.fromkeys(_TRANSCRIPTION) | {"model": "azure-speech"}


def checked_transcription(param: str, value: object, _session: Mapping[str, object], mode: Mode) -> Event | None:
    """Return the settings as the service echoes them: with all keys, even those that the client did not send. Raises
    `RefusedError`.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping) or not isinstance(model := value.get("model"), str):
        raise bad_session_value(param, "an object with a model, or null")
    keys = _OPENAI_TRANSCRIPTION if mode.openai else _TRANSCRIPTION
    for key in value.keys() - set(keys):
        raise unexpected(f"{param}.{key}")
    if not mode.native and not _of_azure(model):
        raise bad_session_value(f"{param}.model", f"azure-speech or mai-transcribe for cascaded models, not {model!r}")
    echo: Event = {key: value.get(key) for key in keys}
    return echo if mode.native else echo | {"language": value.get("language") or ""}


def _of_azure(model: str) -> bool:
    """Whether Azure transcribes with this model. Native models of Voice Live accept these models and those of
    OpenAI.
    """
    return model == "azure-speech" or model.startswith("mai-transcribe")


CHECKS: Mapping[str, Check] = {
    "model": _model,
    "modalities": _modalities,
    "instructions": _text,
    "voice": checked_voice,
    "input_audio_format": _input_format,
    "input_audio_sampling_rate": _sampling_rate,
    "output_audio_format": _output_format,
    "input_audio_noise_reduction": _noise_reduction,
    "input_audio_echo_cancellation": _echo_cancellation,
    "input_audio_transcription": checked_transcription,
    "turn_detection": checked_turn_detection,
    "tools": _tools,
    "tool_choice": _anything,
    "parallel_tool_calls": _anything,
    "temperature": _temperature,
    "max_response_output_tokens": _max_tokens,
    "reasoning_effort": _anything,
    "interim_response": _anything,
    "output_audio_timestamp_types": _words_only,
    "animation": _anything,
    "avatar": _anything,
    "include": _anything,
    "metadata": _anything,
    "speed": _speed,
    "tracing": _anything,
    "truncation": _anything,
    "prompt": _anything,
}
