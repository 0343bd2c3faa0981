"""Responses: one at a time, stored in the conversation, with validated options."""

from __future__ import annotations

import dataclasses

import pytest

from lab.scenario import Agent
from lab.voice_live.agent_script import CallFunction, SayStep
from lab.voice_live.answering import Answering, audio_token_limit
from lab.voice_live.conversation_items import user_audio
from lab.voice_live.handshake import Mode, ModelMode
from lab.voice_live.injected_faults import VoiceLiveFaults
from lab.voice_live.server_events import Event, RefusedError
from lab.voice_live.simulated_response import COMPLETED, cancelled
from lab.voice_live.speech_plan import Delta
from tests.support.voice_live_stage import AGENT, CASCADED, NATIVE, kinds, part, staged

DELTA = Delta(("Hello", " there"), "AAAA", 12_000, 250.0)


def answering(mode: Mode = CASCADED, agent: Agent | None = None) -> Answering:
    return staged(mode, agent).answering


def begin(on: Answering, **asked: object) -> list[Event]:
    return on.begin(asked, 1.0, VoiceLiveFaults())


def test_one_response_at_a_time() -> None:
    stage = answering()
    assert kinds(begin(stage)) == ["response.created"]
    with pytest.raises(RefusedError, match="already has an active response in progress: resp_") as refusal:
        begin(stage)
    assert refusal.value.code == "conversation_already_has_active_response"
    replaced = begin(stage, cancel_previous=True)
    assert kinds(replaced) == ["response.done", "response.created"]
    assert part(replaced[0], "response", "status_details", "reason") == "client_cancelled"
    assert len(stage.begun) == 2


def test_what_is_said_is_kept_in_the_conversation_as_it_grows() -> None:
    stage = answering()
    begin(stage)
    response, plan = stage.begun[0]
    assert plan == SayStep("Hello, how can I help you?")
    stage.open_message(response)
    stage.say(response, DELTA, 2.0)
    item = stage.record.conversation.items[-1]
    assert (item.text, item.audio_ms, item.status) == ("Hello there", 250, "incomplete")
    assert stage.latest_spoken is response
    stage.end(response, COMPLETED, 3.0)
    assert stage.record.conversation.items[-1].status == "completed"
    assert stage.record.said == [
        {"item_id": item.id, "text": "Hello there", "ms": 250, "bytes": 12_000, "status": "completed"}
    ]
    assert stage.active is None
    assert stage.end(response, cancelled("turn_detected"), 4.0) == []


def test_a_message_before_a_function_call_is_kept_and_counted_once() -> None:
    stage = answering()
    begin(stage)
    response, _ = stage.begun[0]
    stage.open_message(response)
    stage.say(response, DELTA, 2.0)
    stage.close_message(response)
    stage.open_call(response, "end_call")
    stage.call_with(response, "{}")
    stage.end(response, COMPLETED, 3.0)
    message, call = stage.record.conversation.items
    assert (message.text, message.status, call.type, call.arguments) == (
        "Hello there",
        "completed",
        "function_call",
        "{}",
    )
    assert [said["text"] for said in stage.record.said] == ["Hello there"]


def test_cancelling() -> None:
    stage = answering()
    with pytest.raises(RefusedError) as refusal:
        stage.cancel(None, 1.0)
    assert refusal.value.code == "response_cancel_not_active"
    begin(stage)
    with pytest.raises(RefusedError):
        stage.cancel("resp_other", 1.0)
    done = stage.cancel(stage.begun[0][0].id, 1.0)
    assert part(done[-1], "response", "status_details", "reason") == "client_cancelled"


def test_the_callers_transcript_comes_with_the_first_words() -> None:
    stage = answering()
    begin(stage)
    stage.deferred = [{"type": "transcript"}]
    response = stage.begun[0][0]
    stage.open_message(response)
    said = kinds(stage.say(response, DELTA, 1.0))
    assert said == ["response.audio_transcript.delta"] * 2 + ["transcript", "response.audio.delta"]
    assert stage.deferred == []


def test_a_function_call_is_an_item_too() -> None:
    agent = Agent.model_validate({"replies": [{"call": {"name": "find", "arguments": {"id": 7}}}]})
    stage = answering(agent=agent)
    stage.record.conversation.add(user_audio("u1"))
    begin(stage)
    response, plan = stage.begun[0]
    assert isinstance(plan, CallFunction)
    stage.open_call(response, plan.name)
    stage.call_with(response, plan.arguments)
    stage.end(response, COMPLETED, 2.0)
    item = stage.record.conversation.items[-1]
    assert (item.type, item.arguments, item.status) == ("function_call", '{"id":7}', "completed")
    assert [row["event"] for row in stage.record.timeline].count("function_call") == 1


def test_agent_mode_refuses_options_of_a_response() -> None:
    stage = answering(AGENT)
    with pytest.raises(RefusedError, match=r"Overriding instructions in response\.create is not supported"):
        begin(stage, instructions="Answer in French.")
    with pytest.raises(RefusedError) as refusal:
        begin(stage, tools=[{"type": "function", "name": "f"}])
    assert refusal.value.code == "tools_configuration_not_supported"
    message = {"content": [{"type": "text", "text": "Hi"}]}
    assert begin(stage, pre_generated_assistant_message=message)
    strict = answering(AGENT)
    strict.pre_generated_allowed = False
    with pytest.raises(RefusedError, match="pre_generated"):
        begin(strict, pre_generated_assistant_message=message)


@pytest.mark.parametrize(
    "mode", [dataclasses.replace(CASCADED, api_version="2025-10-01"), dataclasses.replace(CASCADED, openai=True)]
)
def test_fixed_text_is_newer_than_some_versions(mode: ModelMode) -> None:
    message = {"content": [{"type": "text", "text": "Hi"}]}
    with pytest.raises(RefusedError, match="extra fields not permitted"):
        begin(answering(mode), pre_generated_assistant_message=message)
    assert begin(answering(mode), instructions='Say "Hi".')


def test_a_refused_request_keeps_the_active_response() -> None:
    stage = answering()
    begin(stage)
    with pytest.raises(RefusedError):
        begin(stage, cancel_previous=True, pre_generated_assistant_message={"content": []})
    assert stage.active is stage.begun[0][0]


def test_settings_of_the_response_go_over_those_of_the_session() -> None:
    stage = answering()
    created = begin(stage, modalities=["text"], max_output_tokens=50, metadata={"k": "v"}, conversation="none")[0]
    assert part(created, "response", "modalities") == ["text"]
    assert part(created, "response", "max_output_tokens") == 50
    assert part(created, "response", "conversation_id") is None
    response = stage.begun[0][0]
    stage.open_message(response)
    stage.write(response, "Hi")
    stage.end(response, COMPLETED, 1.0)
    assert stage.record.conversation.items == []
    with pytest.raises(RefusedError):
        begin(stage, voice="alloy")


def test_only_native_models_count_their_speech_in_tokens() -> None:
    for mode, limit in ((NATIVE, 60), (CASCADED, None)):
        stage = answering(mode)
        begin(stage, max_response_output_tokens=60)
        assert audio_token_limit(stage.begun[0][0], stage.record) == limit


def test_echo_and_marks_open_their_endless_response_when_asked() -> None:
    stage = answering(agent=Agent(mode="marks"))
    assert kinds(begin(stage)) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.created",
        "response.content_part.added",
    ]
    assert stage.begun == [], "the measured line produces the audio, not the script"
    asked_for = stage.active
    assert asked_for is not None
    with pytest.raises(RefusedError, match=asked_for.id):
        begin(stage)
    response, opening = stage.open_endless(1.0)
    assert kinds(opening)[0] == "response.created"
    assert stage.active is response


def test_odd_events_can_be_injected() -> None:
    stage = answering()
    faults = VoiceLiveFaults.model_validate({"odd_events": {"times": 1}})
    assert kinds(stage.begin({}, 1.0, faults)) == ["response.created", "rate_limits.updated", "foo.bar"]
