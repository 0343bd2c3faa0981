from __future__ import annotations

import pytest

from agent_relay.core.dialog.history import (
    AWAITS_KEYS,
    NOT_TYPED,
    OUTCOME_UNKNOWN,
    RUNNING,
    TOOL_BEGUN,
    TOOL_CALL,
    History,
    ToolUse,
    from_transcript,
    left_saying,
    tool_notice,
)
from agent_relay.core.protocol.voice_events import (
    create_function_call,
    create_function_output,
    create_message,
)
from bridge_common.wire.entries import Notice, Saying, TranscriptEntry, Turn


def test_replay_keeps_the_order_in_which_things_were_begun() -> None:
    history = History()
    history.caller("u1")
    history.agent("a1", "Your order is on its way.")
    history.caller("u1", "Where is my order?")
    assert history.replay() == [
        create_message("user", "Where is my order?"),
        create_message("assistant", "Your order is on its way."),
    ]


def test_what_was_never_understood_is_not_replayed() -> None:
    history = History()
    history.caller("u1")
    assert history.replay() == []


def test_an_interrupted_say_is_replayed_as_it_was_heard() -> None:
    history = History()
    history.agent("a1", "We are open from nine to five.")
    history.agent("a1", "We are open")
    assert history.replay() == [create_message("assistant", "We are open")]
    history.agent("a1")
    assert history.replay() == []


def test_tools_are_replayed_as_pairs() -> None:
    history = History()
    history.tool(ToolUse("c1", "lookup", '{"id":1}', "found"))
    assert history.replay() == [
        create_function_call("c1", "lookup", '{"id":1}'),
        create_function_output("c1", "found"),
    ]


def test_only_the_last_is_kept() -> None:
    history = History(last=2)
    for n in range(5):
        history.caller(f"u{n}", f"say {n}")
    assert history.replay() == [create_message("user", "say 3"), create_message("user", "say 4")]


def test_a_transcript_is_put_in_order_of_its_beginnings() -> None:
    use = ToolUse("c1", "lookup", "{}", "found")
    transcript: list[TranscriptEntry] = [
        Notice("greeting", "Say hello to the caller.", 1),
        Turn("caller", "u1", "Where is it?", 100),
        tool_notice(TOOL_CALL, use, 150),
        Turn("caller", "u2", "Thanks.", 300),
        Turn("agent", "a1", "On its way", 200, interrupted=True, heard_ms=400),
        Notice("tones", "12#", 400),
        Notice("keys", "3", 400),
        Notice("voice_lost", "1006", 500),
        Notice("tool_call", "no json", 600),
        Notice("tool_call", '{"call_id":1,"name":2,"arguments":3,"output":4}', 600),
    ]
    assert from_transcript(transcript).replay() == [
        create_message("user", "Where is it?"),
        create_function_call("c1", "lookup", "{}"),
        create_function_output("c1", "found"),
        create_message("assistant", "On its way"),
        create_message("user", "Thanks."),
        create_message("user", "[keypad] 12#"),
    ]


def test_a_function_that_was_begun_is_not_called_again() -> None:
    begun = tool_notice(TOOL_BEGUN, ToolUse("c1", "pay", '{"sum":7}', OUTCOME_UNKNOWN), 150)
    history = from_transcript([Turn("caller", "u1", "Pay it.", 100), begun])
    assert history.replay() == [
        create_message("user", "Pay it."),
        create_function_call("c1", "pay", '{"sum":7}'),
        create_function_output("c1", OUTCOME_UNKNOWN),
    ]
    assert history.awaits_answer
    done = from_transcript([begun, tool_notice(TOOL_CALL, ToolUse("c1", "pay", '{"sum":7}', "paid"), 160)])
    assert done.replay()[1:] == [create_function_output("c1", "paid")]


@pytest.mark.parametrize(("state", "output"), [(RUNNING, OUTCOME_UNKNOWN), (AWAITS_KEYS, NOT_TYPED)])
def test_readers_see_a_state_and_the_next_relay_the_consequence(state: str, output: str) -> None:
    """Regression: each successful function had a notice that looked like a failure."""
    assert "error" not in state
    begun = tool_notice(TOOL_BEGUN, ToolUse("c1", "pay", "{}", state), 150)
    assert from_transcript([begun]).replay()[1:] == [create_function_output("c1", output)]
    same = tool_notice(TOOL_CALL, ToolUse("c1", "pay", "{}", state), 160)
    assert from_transcript([begun, same]).replay()[1:] == [create_function_output("c1", state)], "a function said so"


def test_what_was_being_said_is_told_whole_until_it_is_known_what_was_heard() -> None:
    saying = Saying("a1", "It is on its way.", 200, 1000)
    asked = Turn("caller", "u1", "Where is it?", 100)
    history = from_transcript([saying, asked])
    assert history.replay()[-1] == create_message("assistant", "It is on its way.")
    assert not history.awaits_answer
    assert from_transcript([asked]).awaits_answer
    assert left_saying([saying, asked]) == [saying]
    heard = Turn("agent", "a1", "It is", 200, interrupted=True, heard_ms=400)
    assert left_saying([saying, asked, heard]) == []
    assert from_transcript([saying, asked, heard]).replay()[-1] == create_message("assistant", "It is")


def test_the_type_of_what_the_agent_said_goes_with_the_service() -> None:
    history = History()
    history.caller("u1", "Hello.")
    history.agent("a1", "Hi.")
    assert history.replay("output_text") == [
        create_message("user", "Hello."),
        {
            "type": "conversation.item.create",
            "item": {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi."}]},
        },
    ]
