"""Transcription of the caller: models of each pipeline, echoed values."""

from __future__ import annotations

import pytest

from lab.voice_live.handshake import Mode
from lab.voice_live.server_events import RefusedError
from lab.voice_live.transcription_config import checked_transcription, initial_transcription
from tests.support.voice_live_stage import AGENT, CASCADED, GA, NATIVE, OPENAI

NOTHING = {"prompt": None, "delay": None, "custom_speech": None, "phrase_list": None}


def checked(value: object, mode: Mode) -> object:
    return checked_transcription("session.input_audio_transcription", value, {}, mode)


@pytest.mark.parametrize("mode", [CASCADED, AGENT])
def test_cascaded_pipelines_transcribe_from_the_start(mode: Mode) -> None:
    assert initial_transcription(mode) == {"model": "azure-speech", "language": None, **NOTHING}
    assert initial_transcription(NATIVE) is None


@pytest.mark.parametrize("model", ["azure-speech", "mai-transcribe", "mai-transcribe-1", "whisper-1"])
def test_native_models_accept_the_recognizers_of_azure_and_openai(model: str) -> None:
    assert checked({"model": model}, NATIVE) == {"model": model, "language": None, **NOTHING}


@pytest.mark.parametrize("mode", [CASCADED, AGENT])
def test_cascaded_pipelines_accept_only_those_of_azure(mode: Mode) -> None:
    assert checked({"model": "mai-transcribe"}, mode) == {"model": "mai-transcribe", "language": "", **NOTHING}
    with pytest.raises(RefusedError, match="azure-speech or mai-transcribe") as refusal:
        checked({"model": "whisper-1"}, mode)
    assert refusal.value.param == "session.input_audio_transcription.model"


@pytest.mark.parametrize("mode", [OPENAI, GA])
def test_openai_knows_three_keys(mode: Mode) -> None:
    given = {"model": "my-whisper", "language": "de"}
    assert checked(given, mode) == {"model": "my-whisper", "language": "de", "prompt": None}
    with pytest.raises(RefusedError, match="phrase_list"):
        checked({**given, "phrase_list": []}, mode)


def test_null_switches_it_off() -> None:
    assert checked(None, NATIVE) is None


@pytest.mark.parametrize("value", ["azure-speech", {}, {"model": 7}, {"model": "azure-speech", "typo": 1}])
def test_bad_values_are_refused_with_their_place(value: object) -> None:
    with pytest.raises(RefusedError) as refusal:
        checked(value, CASCADED)
    assert str(refusal.value.param).startswith("session.input_audio_transcription")
