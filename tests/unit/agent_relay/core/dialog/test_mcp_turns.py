"""MCP calls that the service makes itself: approvals, and the response after the last call."""

from __future__ import annotations

import dataclasses

import pytest

from agent_relay.core.dialog.history import OUTCOME_UNKNOWN
from agent_relay.core.dialog.interim import InterimProfile
from agent_relay.core.dialog.mcp_turns import LIMIT_S, NOT_APPROVED, START_S
from agent_relay.core.dialog.tool_turns import RETURNED
from agent_relay.core.protocol import voice_events as vl
from tests.unit.support.talk import SECOND, Talk, notices, outcomes, profile_for, sent, types

LIST = vl.McpCall("r1", "m1", "contoso", "list")
DONE = vl.ResponseDone("r1", "completed", "")
RESULT = vl.McpCallDone("m1", "list", '{"a":1}', "three orders")
CANCEL = vl.McpApproval("q1", "contoso", "cancel", "{}", "r1")


def talking(*, interim: InterimProfile | None = None) -> Talk:
    profile = profile_for()
    talk = Talk(
        dataclasses.replace(profile, approved={"contoso": frozenset({"cancel"})}, interim=interim or InterimProfile())
    )
    talk.core.caller_audio(0.5)
    talk.open()
    talk.turn()
    talk.hear(vl.ResponseCreated("r1"))
    return talk


@pytest.mark.parametrize("ends_first", [True, False])
def test_the_response_is_requested_once_after_the_call_and_its_response(ends_first: bool) -> None:
    talk = talking()
    assert notices(talk.hear(LIST, LIST)) == ["tool_begun"]
    first, last = (DONE, vl.McpCallOver("m1")) if ends_first else (vl.McpCallOver("m1"), DONE)
    assert types(talk.hear(first)) == []
    commands = talk.hear(last, RESULT, vl.McpCallOver("m1"))
    assert types(commands) == ["response.create"]
    assert notices(commands) == ["tool_call"]
    assert outcomes(commands) == [], "a response without speech has not failed"


def test_all_calls_of_a_turn_are_waited_for() -> None:
    talk = talking()
    talk.hear(LIST, vl.McpCall("r1", "m2", "contoso", "list"), DONE)
    assert types(talk.hear(vl.McpCallOver("m1"))) == []
    assert types(talk.hear(vl.McpCallOver("m2"))) == ["response.create"]


def test_an_approval_is_decided_at_once_and_the_call_replaces_it() -> None:
    talk = talking()
    commands = talk.hear(CANCEL, CANCEL)
    assert sent(commands) == [vl.create_approval("q1", approve=True)]
    assert "mcp_approval" in notices(commands)
    assert types(talk.hear(DONE)) == [], "the call follows"
    talk.hear(vl.ResponseCreated("r2"), vl.McpCall("r2", "m1", "contoso", "cancel"))
    commands = talk.hear(vl.McpCallOver("m1"), vl.ResponseDone("r2", "completed", ""))
    assert types(commands) == ["response.create"]


@pytest.mark.parametrize(("label", "name"), [("contoso", "delete"), ("other", "cancel")])
def test_other_calls_are_refused_with_a_reason(label: str, name: str) -> None:
    talk = talking()
    commands = sent(talk.hear(vl.McpApproval("q1", label, name, "{}")))
    assert commands[0] == vl.create_approval("q1", approve=False)
    assert NOT_APPROVED in str(commands[1])
    assert types(talk.hear(DONE)) == ["response.create"]


def test_an_approved_call_that_does_not_begin_is_asked_for() -> None:
    talk = talking()
    talk.hear(CANCEL, DONE)
    assert "response.create" not in types(talk.core.tick(1.0 + START_S - 0.1))
    assert "response.create" in types(talk.core.tick(1.0 + START_S))


def test_a_call_that_never_ends_is_over_after_the_limit() -> None:
    talk = talking()
    talk.hear(LIST, DONE)
    assert "response.create" in types(talk.core.tick(1.0 + LIMIT_S))


def test_an_interim_response_is_followed_by_the_answer_to_the_result() -> None:
    talk = talking(interim=InterimProfile(("One moment.",)))
    talk.hear(LIST, DONE)
    assert "One moment." in str(sent(talk.core.tick(1.8)))
    talk.now = 1.9
    talk.hear(vl.ResponseCreated("f1"), vl.AudioDelta("f1", "fa1", SECOND), vl.ResponseDone("f1", "completed", ""))
    assert sent(talk.hear(vl.McpCallOver("m1")))[0] == vl.create_message("system", RETURNED)


def test_a_call_is_lost_with_its_session() -> None:
    talk = talking()
    talk.hear(LIST, DONE)
    talk.core.session_lost("closed", 2.0)
    talk.now = 2.5
    replayed = talk.open()
    assert vl.create_function_output("m1", OUTCOME_UNKNOWN) in sent(replayed)
    assert types(replayed)[-1] == "response.create"


def test_a_result_is_replayed_to_the_next_session() -> None:
    talk = talking()
    talk.hear(LIST, vl.McpCallOver("m1"), RESULT, DONE)
    talk.core.session_lost("closed", 2.0)
    talk.now = 2.5
    assert vl.create_function_output("m1", "three orders") in sent(talk.open())


def test_the_agent_is_notified_of_a_server_without_tools() -> None:
    talk = talking()
    commands = talk.hear(vl.McpTools("l1", "contoso"), vl.McpListFailed("l1"))
    assert notices(commands) == ["mcp_list_failed"]
    assert "contoso" in str(sent(commands))
