"""Sessions: initial state in each mode, and updates."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.voice_live.handshake import AgentMode, Mode, ModelMode
from lab.voice_live.server_events import Event, RefusedError
from lab.voice_live.session_config import initial_session, updated_session
from tests.support.voice_live_stage import AGENT, CASCADED, GA, NATIVE, OPENAI, part

EXPIRES = 1_795_400_000


def begun(mode: Mode) -> Event:
    return initial_session("sess_1", mode, EXPIRES)


def updated(mode: Mode, *, spoken: bool = False, **update: object) -> Event:
    return updated_session(begun(mode), update, mode, spoken=spoken)


def refused(mode: Mode, *, spoken: bool = False, **update: object) -> RefusedError:
    before = begun(mode)
    with pytest.raises(RefusedError) as refusal:
        updated_session(before, update, mode, spoken=spoken)
    assert before == begun(mode)
    return refusal.value


def test_the_first_session_of_a_native_model_is_as_recorded() -> None:
    session = begun(NATIVE)
    assert session["id"] == "sess_1"
    assert session["expires_at"] == EXPIRES
    assert session["object"] == "realtime.session"
    assert session["voice"] == {"name": "alloy", "type": "openai"}
    assert session["input_audio_transcription"] is None
    assert part(session, "turn_detection", "prefix_padding_ms") == 300
    assert part(session, "turn_detection", "silence_duration_ms") == 200
    assert session["model"] == "gpt-realtime-global-standard"
    assert "temperature" not in session
    assert updated(NATIVE, temperature=0.7)["temperature"] == 0.7
    assert list(session)[:6] == ["id", "model", "modalities", "instructions", "voice", "input_audio_format"]


def test_an_agents_session_shows_the_agent_and_no_model() -> None:
    session = begun(AGENT)
    assert session["model"] == "clerk"
    assert session["agent"] == {
        "type": "agent",
        "name": "clerk",
        "description": None,
        "agent_id": "clerk:1",
        "thread_id": None,
    }
    assert part(session, "voice", "type") == "azure-standard"
    assert part(session, "input_audio_transcription", "model") == "azure-speech"
    assert begun(AgentMode("asst_1", "p", "2025-10-01", classic=True))["agent"] != session["agent"]


def test_azure_openai_has_its_own_smaller_session() -> None:
    session = begun(OPENAI)
    assert session["voice"] == "alloy"
    assert "input_audio_echo_cancellation" not in session


def test_sent_keys_change_and_the_others_stay() -> None:
    session = updated(
        CASCADED, input_audio_noise_reduction={"type": "azure_deep_noise_suppression"}, instructions="Be kind."
    )
    assert session["instructions"] == "Be kind."
    assert session["input_audio_noise_reduction"] == {"type": "azure_deep_noise_suppression"}
    assert session["voice"] == begun(CASCADED)["voice"]
    off = updated_session(session, {"input_audio_noise_reduction": None}, CASCADED, spoken=False)
    assert off["input_audio_noise_reduction"] is None
    assert off["instructions"] == "Be kind."


def test_empty_instructions_keep_the_models_own() -> None:
    assert updated(NATIVE, instructions="")["instructions"] == begun(NATIVE)["instructions"]


def test_own_deployments_and_text_models_keep_their_names() -> None:
    assert begun(CASCADED)["model"] == "gpt-4o"
    assert begun(ModelMode("gpt-realtime-ours", "2026-07-15", deployed=True))["model"] == "gpt-realtime-ours"
    assert begun(GA)["model"] == "gpt-realtime"


def test_a_reasoning_model_shows_its_effort() -> None:
    session = begun(ModelMode("gpt-5", "2026-07-15"))
    assert (session["temperature"], session["reasoning_effort"]) == (1.0, "minimal")
    assert begun(CASCADED)["temperature"] == 0.8
    assert "reasoning_effort" not in begun(CASCADED)


@pytest.mark.parametrize("mode", [CASCADED, NATIVE, AGENT])
def test_an_unknown_key_is_named(mode: Mode) -> None:
    refusal = refused(mode, proactive_engagement=True)
    assert refusal.message == "'session.proactive_engagement' unexpected (extra fields not permitted)"
    assert (refusal.code, refusal.param) == ("invalid_session_update_message", "session.proactive_engagement")


def test_one_invalid_key_refuses_the_whole_update() -> None:
    assert "typo" in refused(CASCADED, instructions="new", typo=1).message


def test_the_agent_cannot_be_chosen_in_an_update() -> None:
    chosen = {"agent_id": "a", "project_name": "p"}
    assert "session.agent" in refused(CASCADED, agent=chosen).message
    lenient = updated_session(begun(AGENT), {"agent": chosen}, AGENT, spoken=False, accept_agent=True)
    assert lenient == begun(AGENT)


def test_agents_bring_their_own_instructions_and_tools() -> None:
    assert refused(AGENT, instructions="x").code == "instructions_configuration_not_supported"
    assert refused(AGENT, tools=[]).code == "tools_configuration_not_supported"


def test_fields_of_later_versions_are_unknown_to_earlier_ones() -> None:
    old = ModelMode("gpt-4o", "2025-10-01")
    assert "interim_response" in refused(old, interim_response=None).message
    assert updated(CASCADED, interim_response={"type": "static-interim-response"})


def test_azure_openai_knows_no_azure_features() -> None:
    assert refused(OPENAI, input_audio_echo_cancellation=None).code == "unknown_parameter"
    assert refused(OPENAI, turn_detection={"type": "azure_semantic_vad"}).param == "session.turn_detection.type"
    assert refused(OPENAI, voice={"type": "azure-standard", "name": "en-US-AvaNeural"}).code == "invalid_value"
    assert updated(OPENAI, turn_detection={"type": "server_vad"}, voice="echo")["voice"] == "echo"


@pytest.mark.parametrize("mode", [OPENAI, GA])
def test_openai_has_keys_that_voice_live_refuses(mode: Mode) -> None:
    session = updated(mode, speed=1.2, tracing="auto", input_audio_noise_reduction={"type": "near_field"})
    assert (session["speed"], session["tracing"]) == (1.2, "auto")
    assert session["input_audio_noise_reduction"] == {"type": "near_field"}
    assert refused(NATIVE, speed=1.0).param == "session.speed"
    assert refused(NATIVE, tracing=None).param == "session.tracing"


def test_only_ga_has_truncation_and_prompts() -> None:
    assert updated(GA, truncation="disabled")["truncation"] == "disabled"
    for mode in (OPENAI, NATIVE):
        assert refused(mode, truncation="disabled").param == "session.truncation"


def test_an_openai_voice_stays_once_it_has_spoken() -> None:
    assert updated(NATIVE, voice="echo")["voice"] == {"name": "echo", "type": "openai"}
    assert refused(NATIVE, spoken=True, voice="echo").code == "cannot_update_voice"
    assert updated(NATIVE, spoken=True, voice="alloy")
    assert updated(CASCADED, spoken=True, voice="en-US-AndrewNeural")


def test_a_session_must_be_an_object() -> None:
    with pytest.raises(RefusedError, match="object"):
        updated_session(begun(CASCADED), ["x"], CASCADED, spoken=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "model", "name", "x"]), inner),
    max_leaves=6,
)


@given(
    mode=st.sampled_from([CASCADED, NATIVE, AGENT, OPENAI]),
    update=st.dictionaries(st.sampled_from([*begun(CASCADED), "metadata", "avatar", "agent", "nonsense"]), JSON),
)
def test_whatever_is_sent_is_kept_or_refused(mode: Mode, update: Event) -> None:
    session = begun(mode)
    with contextlib.suppress(RefusedError):
        session = updated_session(session, update, mode, spoken=False)
        assert {"id", "expires_at", "object"} & update.keys() == set()
    assert session.keys() >= begun(mode).keys()
