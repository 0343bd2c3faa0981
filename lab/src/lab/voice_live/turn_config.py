"""The `turn_detection` object: defaults by kind and api-version, and validation (Voice Live API reference)."""

from __future__ import annotations

from collections.abc import Mapping

from lab.voice_live.handshake import AgentMode, Mode
from lab.voice_live.server_events import Event, RefusedError
from lab.voice_live.turn_detection import TurnRules
from lab.voice_live.wire_values import bad_session_value, is_number, is_one_of, is_whole, unexpected

AZURE_KINDS = frozenset({"azure_semantic_vad", "azure_semantic_vad_en", "azure_semantic_vad_multilingual"})
_DURATIONS = (
    "prefix_padding_ms",
    "silence_duration_ms",
    "speech_duration_ms",
    "speech_duration_assistant_speaking_ms",
    "idle_timeout_ms",
)
_SWITCHES = ("create_response", "interrupt_response", "auto_truncate", "remove_filler_words")
_AZURE_EXTRAS = (
    "profile",
    "neg_threshold",
    "window_size",
    "distinct_ci_phones",
    "require_vowel",
    "require_vowel_assistant_speaking",
    "remove_filler_words",
    "languages",
)
_NUMBERS: Event = {"threshold": 0.5, "prefix_padding_ms": 400, "silence_duration_ms": 500}
_OTHERS = ("type", "threshold", "eagerness", "end_of_utterance_detection", "appended_text_after_truncation")
_KNOWN = frozenset((*_OTHERS, *_DURATIONS, *_SWITCHES, *_AZURE_EXTRAS))
_AUDIO_EOU_MODELS = frozenset({"smart_end_of_turn_detection"})
_EOU_MODELS = _AUDIO_EOU_MODELS | {
    "semantic_detection_v1",
    "semantic_detection_v1_en",
    "semantic_detection_v1_multilingual",
}
_EOU_DEFAULTS: Event = {"threshold": None, "threshold_level": "default", "timeout": None, "timeout_ms": 1000}


def initial_turn_detection(mode: Mode) -> Event:
    """Return the value in `session.created`: recorded values for models, the documented type for agents."""
    if isinstance(mode, AgentMode):
        return _defaults("azure_semantic_vad_multilingual", mode)
    initial = _defaults("server_vad", mode)
    if mode.openai or not mode.native:
        return initial | _NUMBERS if initial["threshold"] is None else initial
    silence_ms = 500 if mode.given_name.startswith("gpt-realtime-2") else 200
    return initial | {"prefix_padding_ms": 300, "silence_duration_ms": silence_ms}


def turn_rules(turn_detection: object) -> TurnRules | None:
    """Return the settings of the turn detector; `None` without automatic detection. Null values are replaced by the
    documented defaults of the detection type.
    """
    if not isinstance(turn_detection, Mapping):
        return None
    default = TurnRules()
    azure = turn_detection.get("type") in AZURE_KINDS
    padding_ms = turn_detection.get("prefix_padding_ms")
    if padding_ms is None:
        padding_ms = 420 if azure else 400
    return TurnRules(
        threshold=float(turn_detection.get("threshold") or default.threshold),
        prefix_padding_ms=int(padding_ms),
        silence_duration_ms=int(turn_detection.get("silence_duration_ms") or default.silence_duration_ms),
        speech_duration_ms=int(turn_detection.get("speech_duration_ms") or (80 if azure else 200)),
    )


def checked_turn_detection(param: str, value: object, _session: Mapping[str, object], mode: Mode) -> Event | None:
    """Return the complete object, with defaults for missing keys. Raises `RefusedError`."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise bad_session_value(param, "an object with a type, or null")
    kind = value.get("type")
    if not is_one_of(kind, _kinds(mode)):
        raise bad_session_value(f"{param}.type", f"one of {', '.join(sorted(_kinds(mode)))}")
    for key in value.keys() - _KNOWN:
        raise unexpected(f"{param}.{key}")
    _check_values(param, value, mode)
    merged = _defaults(str(kind), mode) | {key: given for key, given in value.items() if given is not None}
    if isinstance(detection := merged.get("end_of_utterance_detection"), Mapping):
        merged["end_of_utterance_detection"] = _EOU_DEFAULTS | dict(detection)
    if merged.get("auto_truncate") and not merged.get("interrupt_response"):
        raise bad_session_value(f"{param}.auto_truncate", "false if interrupt_response is false")
    return merged


def _kinds(mode: Mode) -> frozenset[str]:
    if mode.openai:
        return frozenset({"server_vad", "semantic_vad"})
    return AZURE_KINDS | {"server_vad"} | ({"semantic_vad"} if mode.native else set())


def _defaults(kind: str, mode: Mode) -> Event:
    answers: Event = {"create_response": True, "interrupt_response": True}
    if kind == "semantic_vad":
        return {"type": kind, "eagerness": "auto", **answers} | ({} if mode.openai else {"auto_truncate": False})
    if mode.openai:
        shared: Event = {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200}
        return {"type": kind, **shared, **({"idle_timeout_ms": None} if mode.ga else {}), **answers}
    azure = kind in AZURE_KINDS
    found: Event = {"type": kind, **_numbers(azure, mode), **answers, "idle_timeout_ms": None}
    found |= dict.fromkeys(_AZURE_EXTRAS) | {"profile": "classic", "remove_filler_words": False} if azure else {}
    return found | {"speech_duration_ms": None, "auto_truncate": False, "appended_text_after_truncation": None}


def _numbers(azure: bool, mode: Mode) -> Event:
    """Return the numeric settings. Newer versions of cascaded pipelines echo null for missing values, but apply the
    defaults.
    """
    if mode.api_version < "2026-04-10":
        return _NUMBERS | {"prefix_padding_ms": 300}
    if not mode.native:
        return dict.fromkeys(_NUMBERS)
    return _NUMBERS | {"prefix_padding_ms": 420 if azure else 400}


def _check_values(param: str, value: Mapping[str, object], mode: Mode) -> None:
    threshold = value.get("threshold")
    if threshold is not None and not is_number(threshold, 0, 1):
        raise bad_session_value(f"{param}.threshold", "a number from 0 to 1")
    for key in _DURATIONS:
        given = value.get(key)
        if given is not None and not is_whole(given, 0, 60_000):
            raise bad_session_value(f"{param}.{key}", "an integer (milliseconds) from 0 to 60000")
    for key in _SWITCHES:
        if value.get(key) is not None and not isinstance(value[key], bool):
            raise bad_session_value(f"{param}.{key}", "true or false")
    _check_end_of_utterance(f"{param}.end_of_utterance_detection", value.get("end_of_utterance_detection"), mode)


def _check_end_of_utterance(param: str, value: object, mode: Mode) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping) or not is_one_of(value.get("model"), _EOU_MODELS):
        raise bad_session_value(param, f"an object with a model of {', '.join(sorted(_EOU_MODELS))}")
    if mode.native and value["model"] not in _AUDIO_EOU_MODELS:
        text = (
            "Text-based end-of-utterance detection requires a local speech recognizer and is only supported on "
            "cascaded pipelines"
        )
        raise RefusedError(text, param=param)
