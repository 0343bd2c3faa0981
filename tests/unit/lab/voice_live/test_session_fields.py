"""Validation of the fields of a session."""

from __future__ import annotations

import pytest

from lab.voice_live.handshake import Mode
from lab.voice_live.server_events import RefusedError
from lab.voice_live.session_config import initial_session
from lab.voice_live.session_fields import CHECKS, checked_transcription, initial_transcription
from tests.support.voice_live_stage import AGENT, CASCADED, GA, NATIVE, OPENAI


def checked(key: str, value: object, mode: Mode = CASCADED) -> object:
    return CHECKS[key](f"session.{key}", value, initial_session("s", mode, 1), mode)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", "gpt-4o"),
        ("modalities", ["text"]),
        ("input_audio_format", "g711_ulaw"),
        ("input_audio_sampling_rate", 16000),
        ("output_audio_format", "pcm16_8000hz"),
        ("input_audio_noise_reduction", {"type": "near_field"}),
        ("tools", [{"type": "function", "name": "f", "parameters": {}}, {"type": "mcp", "server_label": "l"}]),
        ("temperature", 0.7),
        ("max_response_output_tokens", "inf"),
        ("max_response_output_tokens", 200),
        ("output_audio_timestamp_types", ["word"]),
        ("metadata", {"k": "v"}),
    ],
)
def test_good_values_are_echoed(key: str, value: object) -> None:
    assert checked(key, value) == value


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", "gpt-5"),
        ("modalities", ["audio"]),
        ("modalities", []),
        ("modalities", "text"),
        ("modalities", [{}]),
        ("instructions", 7),
        ("input_audio_format", "mp3"),
        ("input_audio_sampling_rate", 11025),
        ("output_audio_format", None),
        ("input_audio_noise_reduction", {"type": "magic"}),
        ("input_audio_echo_cancellation", True),
        ("tools", {}),
        ("tools", [{"type": "function", "function": {"name": "nested"}}]),
        ("tools", ["x"]),
        ("temperature", 3),
        ("temperature", True),
        ("max_response_output_tokens", 0),
        ("max_response_output_tokens", 4097),
        ("output_audio_timestamp_types", ["letter"]),
    ],
)
def test_bad_values_are_refused_with_their_place(key: str, value: object) -> None:
    with pytest.raises(RefusedError) as refusal:
        checked(key, value)
    assert str(refusal.value.param).startswith(f"session.{key}")


def test_echo_cancellation_shows_its_defaults() -> None:
    assert checked("input_audio_echo_cancellation", {"type": "server_echo_cancellation"}) == {
        "type": "server_echo_cancellation",
        "reference_source": "server",
        "channels": 1,
    }
    assert checked("input_audio_echo_cancellation", None) is None


def test_a_native_model_may_be_named_with_and_without_its_decoration() -> None:
    for name in ("gpt-realtime", "gpt-realtime-global-standard"):
        assert checked("model", name, NATIVE) == "gpt-realtime-global-standard"


def test_noise_reduction_of_azure_is_unknown_to_openai() -> None:
    assert checked("input_audio_noise_reduction", {"type": "far_field"}, OPENAI) == {"type": "far_field"}
    with pytest.raises(RefusedError):
        checked("input_audio_noise_reduction", {"type": "azure_deep_noise_suppression"}, OPENAI)


@pytest.mark.parametrize("speed", [0.1, 2, "1", None])
def test_speed_has_bounds(speed: object) -> None:
    assert checked("speed", 1.25, OPENAI) == 1.25
    with pytest.raises(RefusedError, match=r"0\.25 to 1\.5"):
        checked("speed", speed, OPENAI)


def test_early_forms_of_format_names_are_accepted() -> None:
    assert checked("output_audio_format", "pcm16-8000hz") == "pcm16_8000hz"
    with pytest.raises(RefusedError):
        checked("output_audio_format", "pcm16_8000hz", OPENAI)


NOTHING = {"prompt": None, "delay": None, "custom_speech": None, "phrase_list": None}


def transcription(value: object, mode: Mode) -> object:
    return checked_transcription("session.input_audio_transcription", value, {}, mode)


@pytest.mark.parametrize("mode", [CASCADED, AGENT])
def test_cascaded_pipelines_transcribe_from_the_start(mode: Mode) -> None:
    assert initial_transcription(mode) == {"model": "azure-speech", "language": None, **NOTHING}
    assert initial_transcription(NATIVE) is None


@pytest.mark.parametrize("model", ["azure-speech", "mai-transcribe", "mai-transcribe-1", "whisper-1"])
def test_native_models_accept_the_recognizers_of_azure_and_openai(model: str) -> None:
    assert transcription({"model": model}, NATIVE) == {"model": model, "language": None, **NOTHING}


@pytest.mark.parametrize("mode", [CASCADED, AGENT])
def test_cascaded_pipelines_accept_only_those_of_azure(mode: Mode) -> None:
    assert transcription({"model": "mai-transcribe"}, mode) == {"model": "mai-transcribe", "language": "", **NOTHING}
    with pytest.raises(RefusedError, match="azure-speech or mai-transcribe") as refusal:
        transcription({"model": "whisper-1"}, mode)
    assert refusal.value.param == "session.input_audio_transcription.model"


@pytest.mark.parametrize("mode", [OPENAI, GA])
def test_openai_knows_three_keys(mode: Mode) -> None:
    given = {"model": "my-whisper", "language": "de"}
    assert transcription(given, mode) == {"model": "my-whisper", "language": "de", "prompt": None}
    with pytest.raises(RefusedError, match="phrase_list"):
        transcription({**given, "phrase_list": []}, mode)


def test_null_disables_transcription() -> None:
    assert transcription(None, NATIVE) is None


@pytest.mark.parametrize("value", ["azure-speech", {}, {"model": 7}, {"model": "azure-speech", "typo": 1}])
def test_bad_transcriptions_are_refused_with_their_place(value: object) -> None:
    with pytest.raises(RefusedError) as refusal:
        transcription(value, CASCADED)
    assert str(refusal.value.param).startswith("session.input_audio_transcription")
