from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from agent_relay.core.protocol.agent_profile import (
    AgentProfile,
    Greeting,
    essentials,
    session_update,
    turn_detection,
)
from agent_relay.core.protocol.voice_target import Mode, VoiceTarget


def _target(mode: Mode, model: str = "") -> VoiceTarget:
    return VoiceTarget(mode=mode, endpoint="https://res", api_version="2026-07-15", model=model)


MODEL = _target(Mode.MODEL, "gpt-4.1")


def test_the_session_of_a_model() -> None:
    session = session_update(AgentProfile(instructions="Be kind."), MODEL)
    assert session == {
        "modalities": ["text", "audio"],
        "instructions": "Be kind.",
        "voice": {"type": "azure-standard", "name": "en-US-Ava:DragonHDLatestNeural", "temperature": 0.8},
        "input_audio_format": "pcm16",
        "input_audio_sampling_rate": 24000,
        "output_audio_format": "pcm16",
        "turn_detection": {
            "type": "azure_semantic_vad_multilingual",
            "threshold": 0.5,
            "silence_duration_ms": 500,
            "remove_filler_words": True,
            "create_response": True,
            "interrupt_response": True,
            "auto_truncate": False,
        },
        "input_audio_noise_reduction": {"type": "azure_deep_noise_suppression"},
        "input_audio_echo_cancellation": {"type": "server_echo_cancellation"},
        "input_audio_transcription": {"model": "azure-speech", "language": "en-US"},
    }


@pytest.mark.parametrize("mode", [Mode.AGENT, Mode.CLASSIC_AGENT])
def test_an_agent_has_its_own_instructions(mode: Mode) -> None:
    session = session_update(AgentProfile(instructions="Be kind.", temperature=0.7), _target(mode))
    assert not {"instructions", "tools", "temperature", "model", "agent"} & set(session)
    assert session["turn_detection"]["type"] == "azure_semantic_vad_multilingual"


def test_azure_openai_has_no_fields_of_azure_speech() -> None:
    session = session_update(AgentProfile(), _target(Mode.AZURE_OPENAI))
    assert session["voice"] == "alloy"
    assert session["turn_detection"]["type"] == "server_vad"
    known = {"modalities", "voice", "turn_detection", "input_audio_transcription"}
    assert set(session) == known | {"input_audio_format", "output_audio_format"}
    spoken = session_update(AgentProfile(voice={"type": "openai", "name": "ash"}), _target(Mode.AZURE_OPENAI))
    assert spoken["voice"] == "ash"


def test_azure_openai_ga_has_a_nested_session() -> None:
    profile = AgentProfile(
        voice={"type": "openai", "name": "ash"},
        instructions="Be kind.",
        temperature=0.7,
        turn_detection={"type": "semantic_vad"},
        noise_reduction={"type": "near_field"},
        max_response_output_tokens=500,
    )
    session = session_update(profile, _target(Mode.AZURE_OPENAI_GA))
    pcm = {"type": "audio/pcm", "rate": 24_000}
    assert session == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": "Be kind.",
        "max_output_tokens": 500,
        "audio": {
            "input": {
                "format": pcm,
                "turn_detection": {"create_response": True, "interrupt_response": True, "type": "semantic_vad"},
                "transcription": {"model": "whisper-1"},
                "noise_reduction": {"type": "near_field"},
            },
            "output": {"format": pcm, "voice": "ash"},
        },
    }
    assert essentials(session) == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {"input": {"format": pcm}, "output": {"format": pcm}},
    }


def test_azure_openai_ga_has_no_fields_of_azure_speech() -> None:
    session = session_update(AgentProfile(), _target(Mode.AZURE_OPENAI_GA))
    assert set(session["audio"]["input"]) == {"format", "turn_detection", "transcription"}
    assert session["audio"]["output"]["voice"] == "alloy"


def test_native_models_use_their_own_transcription() -> None:
    session = session_update(AgentProfile(), _target(Mode.MODEL, "gpt-realtime"))
    assert session["input_audio_transcription"] == {"model": "whisper-1"}


def test_azure_realtime_accepts_only_its_own_voices() -> None:
    session = session_update(AgentProfile(), _target(Mode.MODEL, "azure-realtime"))
    assert session["voice"]["type"] == "azure-realtime-native"


def test_turn_detection_is_merged_unless_its_type_differs() -> None:
    merged = turn_detection(AgentProfile(turn_detection={"silence_duration_ms": 300}), MODEL)
    assert (merged["type"], merged["silence_duration_ms"]) == ("azure_semantic_vad_multilingual", 300)
    other = turn_detection(AgentProfile(turn_detection={"type": "semantic_vad", "eagerness": "low"}), MODEL)
    assert other == {
        "type": "semantic_vad",
        "eagerness": "low",
        "create_response": True,
        "interrupt_response": True,
    }


def test_noise_suppression_can_be_switched_off() -> None:
    assert session_update(AgentProfile(noise_reduction=None), MODEL)["input_audio_noise_reduction"] is None


def test_the_essentials_are_the_audio_formats() -> None:
    session = session_update(AgentProfile(), MODEL)
    assert set(essentials(session)) == {
        "modalities",
        "input_audio_format",
        "input_audio_sampling_rate",
        "output_audio_format",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"greeting": {}},
        {"greeting": {"text": "Hi", "say_how": "kindly"}},
        {"greeting": {"text": " "}},
        {"temperature": 3},
        {"voices": {}},
        {"max_response_output_tokens": 0},
    ],
)
def test_wrong_profiles_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AgentProfile.model_validate(fields)


def test_greetings_are_on_by_default_and_can_be_switched_off() -> None:
    assert isinstance(AgentProfile().greeting, Greeting)
    assert AgentProfile(greeting=None).greeting is None


# -- voice agents
VOICE_AGENT = _target(Mode.VOICE_AGENT)


def test_the_session_of_a_voice_agent_is_that_of_its_definition() -> None:
    profile = AgentProfile(instructions="Be kind.", actions=("end_call",), temperature=0.5, language="de-DE")
    assert session_update(profile, VOICE_AGENT) == {"type": "realtime"}


def test_settings_of_the_profile_override_the_definition() -> None:
    profile = AgentProfile(
        voice={"type": "azure-standard", "name": "de-DE-SeraphinaNeural", "style": "calm"},
        turn_detection={"type": "server_vad", "silence_duration_ms": 300},
        noise_reduction=None,
        transcription={"model": "azure-speech-streaming", "language": "de-DE"},
        actions=("end_call",),
    )
    session = session_update(profile, replace(VOICE_AGENT, sends_tools=True))
    assert session.pop("tools") == profile.functions()
    assert session == {
        "type": "realtime",
        "audio": {
            "input": {
                "turn_detection": {
                    "type": "server_vad",
                    "silence_duration_ms": 300,
                    "create_response": True,
                    "interrupt_response": True,
                },
                "noise_reduction": None,
                "transcription": {"model": "azure-speech-streaming", "language": "de-DE"},
            },
            "output": {"voice": "de-DE-SeraphinaNeural", "voice_type": "azure-standard", "style": "calm"},
        },
    }


def test_a_voice_agent_that_greets_has_no_warm_sessions() -> None:
    target = {"voice_agent": "a", "project": "p"}
    with pytest.raises(ValidationError, match="`warm_sessions` must be 0 with a voice agent"):
        AgentProfile.model_validate({"target": target, "warm_sessions": 1})
    AgentProfile.model_validate({"target": {**target, "greets": False}, "warm_sessions": 1})
