"""Selection of the agent's reply by the conversation."""

from __future__ import annotations

import json

import pytest

from lab.scenario import Agent, ScenarioTool
from lab.voice_live.agent_script import (
    AFTER_THE_SCRIPT,
    DEFAULT_GREETING,
    UNHEARD,
    CallFunction,
    SayStep,
    UseTool,
    heard_in_turn,
    next_plan,
)
from lab.voice_live.conversation_items import ConversationItem, ConversationItems, user_audio
from lab.voice_live.server_events import Event, RefusedError

AGENT = Agent.model_validate(
    {
        "greeting": "Welcome to the shop.",
        "replies": [
            {"heard": "Hello", "say": "What do you need?"},
            {"heard": "Order 7", "call": {"name": "find", "arguments": {"id": 7}}, "say": "It is on its way."},
            {"call": {"name": "find", "arguments": {}}},
        ],
    }
)


def conversation(*roles: str, text: str = "") -> ConversationItems:
    items = [ConversationItem(f"item_{number}", "message", role, text=text) for number, role in enumerate(roles)]
    return ConversationItems("conv_1", items=items)


def pre_generated(*parts: Event) -> Event:
    return {"pre_generated_assistant_message": {"type": "message", "role": "assistant", "content": list(parts)}}


def test_each_turn_has_its_reply_and_then_the_default() -> None:
    assert next_plan(AGENT, conversation("user"), {}) == SayStep("What do you need?")
    asked = next_plan(AGENT, conversation("user", "assistant", "user"), {})
    assert isinstance(asked, CallFunction)
    assert (asked.name, json.loads(asked.arguments)) == ("find", {"id": 7})
    assert next_plan(AGENT, conversation(*["user"] * 4), {}) == SayStep(AFTER_THE_SCRIPT)


def test_after_a_function_it_says_what_comes_next_or_the_result() -> None:
    output = ConversationItem("item_o", "function_call_output", call_id="c", output='{"state": "late"}')
    known = conversation("user", "assistant", "user")
    known.items.append(output)
    assert next_plan(AGENT, known, {}) == SayStep("It is on its way.")
    silent = conversation("user", "user", "user")
    silent.items.append(output)
    assert next_plan(AGENT, silent, {}) == SayStep('I found this: {"state": "late"}')


def test_a_goodbye_in_the_response_of_the_function_call_and_a_tool_of_the_platform() -> None:
    end = {"name": "end_call", "arguments": {"reason": "done"}}
    agent = Agent.model_validate(
        {
            "replies": [
                {"say_first": "Goodbye.", "call": end},
                {"tool": {**end, "via": "openapi"}, "say": "Goodbye."},
                {"tool": end},
            ]
        }
    )
    assert next_plan(agent, conversation("user"), {}) == CallFunction("end_call", '{"reason":"done"}', "Goodbye.")
    tool = ScenarioTool(name="end_call", arguments={"reason": "done"}, via="openapi")
    assert next_plan(agent, conversation("user", "user"), {}) == UseTool(tool, "Goodbye.")
    assert next_plan(agent, conversation(*["user"] * 3), {}) == UseTool(ScenarioTool.model_validate(end))


def test_greetings() -> None:
    assert next_plan(AGENT, conversation(), {}) == SayStep("Welcome to the shop.")
    assert next_plan(Agent(), conversation(), {}) == SayStep(DEFAULT_GREETING)
    assert next_plan(AGENT, conversation("system", text="Greet the caller."), {}) == SayStep("Welcome to the shop.")
    quoted = conversation("system", text='Say: "Good day to you."')
    assert next_plan(AGENT, quoted, {}) == SayStep("Good day to you.")
    assert next_plan(AGENT, conversation(), pre_generated({"type": "text", "text": "Hi!"})) == SayStep("Hi!")


@pytest.mark.parametrize(
    "parts",
    [[], [{"type": "text", "text": ""}], [{"type": "text", "text": 7}], [{"type": "text", "text": "a"}] * 2],
)
def test_a_pre_generated_message_needs_one_text(parts: list[Event]) -> None:
    with pytest.raises(RefusedError, match="exactly one text part"):
        next_plan(AGENT, conversation(), pre_generated(*parts))
    with pytest.raises(RefusedError, match="exactly one text part"):
        next_plan(AGENT, conversation(), {"pre_generated_assistant_message": "Hi"})


def test_after_its_own_words_the_model_believes_to_have_spoken() -> None:
    assert next_plan(AGENT, conversation("user", "assistant"), {}) == SayStep("Understood.")


def test_words_after_a_function_are_said_when_it_speaks_next_and_once() -> None:
    """The words of others may be between: an announcement, or the introduction of a call."""
    known = conversation("user", "assistant", "user", "assistant")
    assert next_plan(AGENT, known, {}) == SayStep("It is on its way.")
    known.items.append(ConversationItem("item_s", "message", "assistant", text="It is on its way."))
    assert next_plan(AGENT, known, {}) == SayStep("Understood.")


def test_a_truncated_message_is_finished() -> None:
    known = conversation("user")
    known.add(ConversationItem("a", "message", "assistant", text="Hello to you", audio_ms=900))
    known.truncate("a", 0, 900)
    assert next_plan(AGENT, known, {}) == SayStep("Understood.")
    known.truncate("a", 0, 300)
    assert next_plan(AGENT, known, {}) == next_plan(AGENT, conversation("user"), {})


def test_a_system_message_does_not_change_whom_the_model_answers() -> None:
    """For example the call reference, which every session of a resumed conversation gets."""
    assert next_plan(AGENT, conversation("user", "system"), {}) == next_plan(AGENT, conversation("user"), {})


def test_what_was_heard_in_a_turn() -> None:
    assert [heard_in_turn(AGENT, turn) for turn in range(4)] == ["Hello", "Order 7", UNHEARD, UNHEARD]


def test_the_caller_is_counted_by_messages_of_the_user() -> None:
    resumed = ConversationItems(
        "conv_1", items=[user_audio("u1", "Hello"), ConversationItem("a", "message", "assistant"), user_audio("u2")]
    )
    assert isinstance(next_plan(AGENT, resumed, {}), CallFunction)


def test_arguments_are_compact_or_spaced_as_recorded() -> None:
    agent = Agent.model_validate({"replies": [{"call": {"name": "find", "arguments": {"city": "London"}}}]})
    conversation = ConversationItems("conv_1", items=[user_audio("u1")])
    assert next_plan(agent, conversation, {}) == CallFunction("find", '{"city":"London"}')
    spaced = next_plan(agent, conversation, {}, spaced_arguments=True)
    assert spaced == CallFunction("find", '{  \n  "city": "London" \n} \n')
    nothing = Agent.model_validate({"replies": [{"call": {"name": "find"}}]})
    assert next_plan(nothing, conversation, {}, spaced_arguments=True) == CallFunction("find", "{}")
