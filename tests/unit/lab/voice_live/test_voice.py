"""Allowed voices for each kind of model."""

from __future__ import annotations

import pytest

from lab.voice_live.handshake import Mode, ModelMode
from lab.voice_live.server_events import RefusedError
from lab.voice_live.voice import checked_voice, default_voice
from tests.support.voice_live_stage import AGENT, CASCADED, NATIVE, NEWEST, OPENAI

AVA = {"type": "azure-standard", "name": "en-US-Ava:DragonHDLatestNeural", "temperature": 0.8}
UNSET = dict.fromkeys(
    [
        "temperature",
        "custom_lexicon_url",
        "custom_text_normalization_url",
        "prefer_locales",
        "locale",
        "style",
        "pitch",
        "rate",
        "volume",
    ]
)
AZURE_REALTIME = ModelMode("azure-realtime", NEWEST)


def checked(value: object, mode: Mode) -> object:
    return checked_voice("session.voice", value, {}, mode)


def test_a_name_alone_becomes_an_object() -> None:
    assert checked("alloy", NATIVE) == {"name": "alloy", "type": "openai"}
    assert checked("en-US-AvaNeural", CASCADED) == default_voice(CASCADED)


def test_the_default_voice_is_one_that_may_be_set() -> None:
    for mode in (AGENT, CASCADED, NATIVE, OPENAI, AZURE_REALTIME):
        assert checked(default_voice(mode), mode) == default_voice(mode)


@pytest.mark.parametrize("mode", [AGENT, CASCADED])
def test_agents_and_cascaded_models_have_azure_voices_only(mode: Mode) -> None:
    assert checked(AVA, mode) == UNSET | AVA
    for other in ("alloy", {"type": "openai", "name": "alloy"}, {"type": "magic", "name": "x"}):
        with pytest.raises(RefusedError, match="Only Azure voice is supported") as refusal:
            checked(other, mode)
        assert (refusal.value.code, refusal.value.param) == ("invalid_voice_type", "session.voice")


def test_the_message_lists_what_a_native_model_allows() -> None:
    assert checked(AVA, NATIVE) == UNSET | AVA
    with pytest.raises(RefusedError, match="azure-realtime-native"):
        checked(AVA, AZURE_REALTIME)
    with pytest.raises(RefusedError, match="avatar-voice-sync"):
        checked({"type": "azure-realtime-native", "name": "ava"}, NATIVE)


@pytest.mark.parametrize("value", [7, None, {"type": "azure-standard"}, AVA | {"temperature": 2}, AVA | {"name": ""}])
def test_bad_voices_are_refused(value: object) -> None:
    with pytest.raises(RefusedError):
        checked(value, CASCADED)
