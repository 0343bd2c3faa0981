"""The `turn_detection` object: its defaults for each kind and api-version, its checks (Voice Live API reference)."""

from __future__ import annotations

from collections.abc import Mapping

from lab.voice_live.events import Event, RefusedError
from lab.voice_live.handshake import AgentMode, Mode, ModelMode
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
_KNOWN = frozenset(
    [
        "type",
        "threshold",
        "languages",
        "end_of_utterance_detection",
        "appended_text_after_truncation",
        "eagerness",
        "window_size",
        "distinct_ci_phones",
        "require_vowel",
    ]
) | frozenset((*_DURATIONS, *_SWITCHES))
_EOU_MODELS = frozenset(
    [
        "semantic_detection_v1",
        "semantic_detection_v1_en",
        "semantic_detection_v1_multilingual",
        "smart_end_of_turn_detection",
    ]
)


def initial_turn_detection(mode: Mode) -> Event:
    """What `session.created` shows: the recorded values for native models, the cascaded kind for agents."""
    if isinstance(mode, AgentMode):
        return _defaults("azure_semantic_vad_multilingual", mode)
    initial = _defaults("server_vad", mode)
    if mode.native:
        initial |= {"prefix_padding_ms": 300, "silence_duration_ms": 200}
    return initial


def turn_rules(turn_detection: object) -> TurnRules | None:
    """What the detector needs of a session's `turn_detection`; `None` when nothing is automatic."""
    if not isinstance(turn_detection, Mapping):
        return None
    default = TurnRules()
    return TurnRules(
        threshold=float(turn_detection.get("threshold") or default.threshold),
        prefix_padding_ms=int(turn_detection.get("prefix_padding_ms") or 0),
        silence_duration_ms=int(turn_detection.get("silence_duration_ms") or default.silence_duration_ms),
        speech_duration_ms=int(turn_detection.get("speech_duration_ms") or default.speech_duration_ms),
    )


def checked_turn_detection(param: str, value: object, _session: Mapping[str, object], mode: Mode) -> Event | None:
    """Replaces the whole object and fills it with its defaults again. Raises `RefusedError`."""
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
    if merged.get("auto_truncate") and not merged.get("interrupt_response"):
        raise bad_session_value(f"{param}.auto_truncate", "false while interrupt_response is false")
    return merged


def _kinds(mode: Mode) -> frozenset[str]:
    if isinstance(mode, ModelMode) and mode.openai:
        return frozenset({"server_vad", "semantic_vad"})
    native = isinstance(mode, ModelMode) and mode.native
    return AZURE_KINDS | {"server_vad"} | ({"semantic_vad"} if native else set())


def _defaults(kind: str, mode: Mode) -> Event:
    if kind == "semantic_vad":
        return {"type": kind, "eagerness": "auto", "create_response": True, "interrupt_response": True}
    if isinstance(mode, ModelMode) and mode.openai:
        shared: Event = {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200}
        return {"type": kind, **shared, "create_response": True, "interrupt_response": True}
    azure = kind in AZURE_KINDS
    padding_ms = 300 if mode.api_version < "2026-04-10" else 420 if azure else 400
    found: Event = {"type": kind, "threshold": 0.5, "prefix_padding_ms": padding_ms, "silence_duration_ms": 500}
    found |= {"create_response": True, "interrupt_response": True}
    found |= {"remove_filler_words": False, "languages": None} if azure else {"idle_timeout_ms": None}
    return found | {
        "speech_duration_ms": 80 if azure else 200,
        "end_of_utterance_detection": None,
        "auto_truncate": False,
        "appended_text_after_truncation": None,
    }


def _check_values(param: str, value: Mapping[str, object], mode: Mode) -> None:
    threshold = value.get("threshold")
    if threshold is not None and not is_number(threshold, 0, 1):
        raise bad_session_value(f"{param}.threshold", "a number from 0 to 1")
    for key in _DURATIONS:
        given = value.get(key)
        if given is not None and not is_whole(given, 0, 60_000):
            raise bad_session_value(f"{param}.{key}", "whole milliseconds from 0 to 60000")
    for key in _SWITCHES:
        if value.get(key) is not None and not isinstance(value[key], bool):
            raise bad_session_value(f"{param}.{key}", "true or false")
    _check_end_of_utterance(f"{param}.end_of_utterance_detection", value.get("end_of_utterance_detection"), mode)


def _check_end_of_utterance(param: str, value: object, mode: Mode) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping) or not is_one_of(value.get("model"), _EOU_MODELS):
        raise bad_session_value(param, f"an object with a model of {', '.join(sorted(_EOU_MODELS))}")
    if isinstance(mode, ModelMode) and mode.native:
        text = (
            "Text-based end-of-utterance detection requires a local speech recognizer and is only supported on "
            "cascaded pipelines"
        )
        raise RefusedError(text, param=param)
