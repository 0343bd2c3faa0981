"""`turn_detection` is replaced as a whole, with the defaults of its type and version."""

from __future__ import annotations

import pytest

from lab.voice_live.handshake import AgentMode, Mode, ModelMode
from lab.voice_live.server_events import Event, RefusedError
from lab.voice_live.turn_config import AZURE_KINDS, checked_turn_detection, initial_turn_detection, turn_rules
from lab.voice_live.turn_detection import TurnRules
from tests.support.voice_live_stage import AGENT, CASCADED, NATIVE, OPENAI


def checked(value: object, mode: Mode = CASCADED) -> Event:
    found = checked_turn_detection("session.turn_detection", value, {}, mode)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("kind", "version", "padding_ms"),
    [
        ("server_vad", "2025-10-01", 300),
        ("server_vad", "2026-01-01-preview", 300),
        ("server_vad", "2026-04-10", 400),
        ("azure_semantic_vad", "2025-10-01", 300),
        ("azure_semantic_vad_multilingual", "2026-07-15", 420),
    ],
)
def test_padding_defaults_follow_kind_and_version(kind: str, version: str, padding_ms: int) -> None:
    found = checked({"type": kind}, ModelMode("gpt-4o", version))
    # Newer versions echo null for fields that a cascaded session does not set.
    assert found["prefix_padding_ms"] == (padding_ms if version < "2026-04" else None)
    rules = turn_rules(found)
    assert rules is not None
    assert rules.prefix_padding_ms == padding_ms
    assert checked({"type": kind}, ModelMode("gpt-realtime", version))["prefix_padding_ms"] == padding_ms


def test_a_partial_object_takes_defaults_not_the_former_values() -> None:
    found = checked({"type": "server_vad", "threshold": 0.7, "create_response": False}, NATIVE)
    assert initial_turn_detection(NATIVE)["silence_duration_ms"] == 200
    assert (found["threshold"], found["create_response"]) == (0.7, False)
    assert (found["silence_duration_ms"], found["prefix_padding_ms"]) == (500, 400)


def test_null_switches_it_off() -> None:
    assert checked_turn_detection("p", None, {}, CASCADED) is None
    assert turn_rules(None) is None


def test_the_detector_gets_the_numbers() -> None:
    found = checked({"type": "azure_semantic_vad", "threshold": 0.4, "silence_duration_ms": 300})
    assert turn_rules(found) == TurnRules(0.4, 420, 300, 80)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("server_vad", ""),
        ({"type": "azure_multilingual_semantic_vad"}, ".type"),
        ({"type": "semantic_vad"}, ".type"),
        ({"type": "server_vad", "typo": 1}, ".typo"),
        ({"type": "server_vad", "threshold": 2}, ".threshold"),
        ({"type": "server_vad", "silence_duration_ms": -1}, ".silence_duration_ms"),
        ({"type": "server_vad", "silence_duration_ms": 1.5}, ".silence_duration_ms"),
        ({"type": "server_vad", "create_response": "yes"}, ".create_response"),
        ({"type": "server_vad", "auto_truncate": True, "interrupt_response": False}, ".auto_truncate"),
        ({"type": "azure_semantic_vad", "end_of_utterance_detection": {"model": "x"}}, ".end_of_utterance_detection"),
    ],
)
def test_bad_values_are_refused_with_their_place(value: object, place: str) -> None:
    with pytest.raises(RefusedError) as refusal:
        checked(value)
    assert refusal.value.param == f"session.turn_detection{place}"


def test_end_of_utterance_detection_needs_a_recognizer() -> None:
    asked = {"type": "azure_semantic_vad", "end_of_utterance_detection": {"model": "semantic_detection_v1"}}
    assert checked(asked)["end_of_utterance_detection"] == {
        "model": "semantic_detection_v1",
        "threshold": None,
        "threshold_level": "default",
        "timeout": None,
        "timeout_ms": 1000,
    }
    with pytest.raises(RefusedError, match="cascaded pipelines"):
        checked(asked, NATIVE)
    by_sound = {"type": "azure_semantic_vad", "end_of_utterance_detection": {"model": "smart_end_of_turn_detection"}}
    assert checked(by_sound, NATIVE)["end_of_utterance_detection"]


def test_each_kind_of_model_has_its_kinds_of_detection() -> None:
    assert checked({"type": "semantic_vad"}, NATIVE)["eagerness"] == "auto"
    assert initial_turn_detection(AGENT)["type"] in AZURE_KINDS
    assert initial_turn_detection(AgentMode("a", "p", "2025-10-01", classic=True))["prefix_padding_ms"] == 300
    for kind in AZURE_KINDS:
        with pytest.raises(RefusedError):
            checked({"type": kind}, OPENAI)
