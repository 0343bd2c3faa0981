from __future__ import annotations

from agent_relay.core.dialog.history import ToolUse
from agent_relay.core.dialog.tool_calls import ToolCalls
from agent_relay.core.protocol.voice_events import FunctionCall, create_function_call, create_function_output


def _call(call_id: str, response_id: str = "r1") -> FunctionCall:
    return FunctionCall(response_id, "i1", call_id, "lookup", "{}")


def test_one_response_for_all_calls_when_the_last_is_answered() -> None:
    calls = ToolCalls()
    calls.begin(_call("c1"), 0)
    calls.begin(_call("c2"), 0)
    assert calls.called_in("r1")
    calls.answer("c1", "one", 0)
    assert not calls.response_due()
    calls.answer("c2", "two", 0)
    assert calls.response_due()
    assert not calls.response_due()


def test_an_answer_to_the_same_session_is_the_output_alone() -> None:
    calls = ToolCalls()
    calls.begin(_call("c1"), 0)
    assert calls.answer("c1", "one", 0) == (
        ToolUse("c1", "lookup", "{}", "one"),
        [create_function_output("c1", "one")],
    )
    assert calls.answer("c1", "one", 0) is None


def test_a_later_session_is_told_of_the_call_first() -> None:
    calls = ToolCalls()
    calls.begin(_call("c1"), 0)
    answer = calls.answer("c1", "one", 1)
    assert answer is not None
    assert answer[1] == [create_function_call("c1", "lookup", "{}"), create_function_output("c1", "one")]


def test_a_dropped_answer_is_due_no_more() -> None:
    calls = ToolCalls()
    calls.begin(_call("c1"), 0)
    calls.answer("c1", "one", 0)
    assert calls.drop_answer()
    assert not calls.drop_answer()
    assert not calls.response_due()
