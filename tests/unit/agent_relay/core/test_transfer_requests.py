"""Requests for a transfer, and the words before it."""

from __future__ import annotations

import json

import pytest

from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.transfer_profile import TransferProfile
from bridge_common.wire.entries import Dtmf, Instruct
from tests.unit.support.acting_talk import begin, call, finished, goodbyes, outputs, requested, wait
from tests.unit.support.talk import Talk, sent, types
from tests.unit.support.transfers import (
    TARGETS,
    answered,
    calling,
    requests,
    speaks,
    step,
    steps,
    transfers,
)


def transfer(call_id: str = "c1", target: str = "sales", response: str = "r1") -> vl.FunctionCall:
    return call("transfer_call", response, call_id, target=target, topic="an order", summary="")


def test_words_in_the_response_of_the_request_are_heard_before_the_transfer() -> None:
    talk = calling(transfers())
    begin(talk, audible=True)
    commands = talk.hear(transfer())
    assert requested(commands) == [("fn_c1", "transfer", "agent")]
    assert outputs(commands)[0]["ok"] is True
    assert steps(commands) == ["connecting"]
    commands = talk.hear(vl.ResponseDone("r1", "completed", ""))
    assert types(commands) == [], "the agent has said all that is needed"
    assert goodbyes(finished(talk)) == [("fn_c1", "heard")]


def test_an_agent_that_has_not_announced_the_transfer_is_asked_to() -> None:
    talk = calling(transfers())
    begin(talk, audible=False)
    commands = talk.hear(transfer(), vl.ResponseDone("r1", "completed", ""))
    assert types(commands) == ["conversation.item.create", "response.create"]
    begin(talk, audible=True, response="r2", item="a2")
    talk.hear(vl.ResponseDone("r2", "completed", ""))
    assert goodbyes(finished(talk, "a2")) == [("fn_c1", "heard")]


def test_an_agent_that_stays_silent_is_replaced_by_the_text_of_the_profile() -> None:
    """It has requested the transfer through a tool of its platform."""
    talk = answered(transfers(TransferProfile(targets=TARGETS, connecting_text="I connect you.")))
    assert sent(step(talk, "connecting", interruptible=True)) == []
    assert "I connect you." in requests(wait(talk, 4.0))
    assert goodbyes(wait(talk, 4.0)) == [("act_1", "failed")]


def test_an_operator_s_transfer_is_announced_with_the_text_of_the_profile() -> None:
    talk = answered(transfers(TransferProfile(targets=TARGETS, connecting_text="I connect you.")))
    commands = step(talk, "connecting", interruptible=False)
    assert "I connect you." in requests(commands)
    assert steps(commands) == ["connecting"]
    speaks(talk, "r2", "a2")
    assert goodbyes(finished(talk, "a2")) == [("act_1", "heard")]


@pytest.mark.parametrize("by_key", [False, True])
def test_the_caller_cancels_a_transfer_of_the_agent_but_not_of_an_operator(by_key: bool) -> None:
    def interrupts(talk: Talk) -> list[tuple[str, str]]:
        talk.hear(vl.ResponseDone("r1", "completed", ""))
        key = talk.core.from_caller(Dtmf("1"), talk.now) if by_key else []
        return goodbyes(key or talk.hear(vl.SpeechStarted("u2")))

    of_agent = calling(transfers())
    begin(of_agent, audible=True)
    of_agent.hear(transfer())
    assert interrupts(of_agent) == [("fn_c1", "interrupted")]
    of_operator = calling(transfers())
    begin(of_operator, audible=True)
    step(of_operator, "connecting", interruptible=False)
    assert interrupts(of_operator) == []


def test_the_agent_learns_that_the_caller_was_not_connected() -> None:
    talk = answered()
    detail = json.dumps({"action": "transfer", "state": "canceled", "reason": "interrupted"})
    assert "they are still talking" in requests(talk.core.instruct(Instruct("x", "outcome", detail), talk.now))


def test_the_outcome_names_the_target() -> None:
    talk = answered()
    detail = json.dumps({"action": "transfer", "state": "failed", "reason": "no", "target": "support"})
    assert "Result of transfer to support: " in requests(talk.core.instruct(Instruct("x", "outcome", detail), talk.now))


@pytest.mark.parametrize("target", ["boss", "", 7, None])
def test_a_target_that_the_profile_does_not_name_is_refused_with_the_names(target: object) -> None:
    talk = calling(transfers())
    begin(talk, audible=False)
    commands = talk.hear(call("transfer_call", target=target, topic="", summary=""))
    assert requested(commands) == []
    assert outputs(commands) == [{"ok": False, "reason": "`target` must be one of sales, support."}]


REFUSED = {"ok": False, "reason": "A transfer to sales is under way. Wait for its outcome."}


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("target", ["sales", "support"])
def test_a_second_transfer_is_refused_at_once_while_one_is_under_way(target: str, heard: bool) -> None:
    talk = calling(transfers())
    begin(talk, audible=True)
    talk.hear(transfer())
    if heard:
        talk.hear(vl.ResponseDone("r1", "completed", ""))
        finished(talk)
    again = talk.hear(transfer("c2", target, response="r2" if heard else "r1"))
    assert (requested(again), outputs(again)) == ([], [REFUSED])
    step(talk, "returned", "fn_c1", name="sales", reason="busy")
    begin(talk, audible=True, response="r5", item="a5")
    assert requested(talk.hear(transfer("c3", target, response="r5"))) == [("fn_c3", "transfer", "agent")]


def test_the_introduction_cannot_request_a_transfer() -> None:
    talk = answered(transfers(TransferProfile(targets=TARGETS, introduction="A call.")))
    step(talk, "screening", name="sales")
    again = talk.hear(vl.ResponseCreated("r2"), transfer("c2", "support", response="r2"))
    assert (requested(again), outputs(again)) == ([], [REFUSED])


def test_a_hang_up_replaces_the_transfer_and_a_transfer_no_hang_up() -> None:
    talk = calling(transfers())
    begin(talk, audible=True)
    talk.hear(transfer())
    assert requested(talk.hear(call("end_call", call_id="c2", reason="done"))) == [("fn_c2", "hang_up", "agent")]
    refused = talk.hear(transfer("c3"))
    assert (requested(refused), outputs(refused)[0]["reason"]) == ([], "The call is already being ended.")
    talk.hear(vl.ResponseDone("r1", "completed", ""))
    assert goodbyes(finished(talk)) == [("fn_c2", "heard")]


def test_a_transfer_that_redis_lost_is_requested_again_until_call_control_goes_on() -> None:
    talk = calling(transfers())
    begin(talk, audible=True)
    talk.hear(transfer(), vl.ResponseDone("r1", "completed", ""))
    finished(talk)
    commands = wait(talk, 3.0)
    assert requested(commands) == [("fn_c1", "transfer", "agent")]
    assert goodbyes(commands) == [("fn_c1", "heard")]
    step(talk, "waiting", "fn_c1")
    assert requested(wait(talk, 7.0)) == []


def test_an_operator_s_transfer_is_not_requested_again_because_its_target_is_unknown() -> None:
    talk = answered()
    step(talk, "connecting", interruptible=False)
    speaks(talk, "r2", "a2")
    finished(talk, "a2")
    commands = wait(talk, 3.0)
    assert (requested(commands), goodbyes(commands)) == ([], [("act_1", "heard")])


def test_the_agent_goes_on_if_call_control_refuses_the_transfer() -> None:
    talk = calling(transfers())
    begin(talk, audible=True)
    talk.hear(transfer(), vl.ResponseDone("r1", "completed", ""))
    detail = json.dumps({"action": "transfer", "state": "failed", "reason": "refused"})
    commands = talk.core.instruct(Instruct("fn_c1", "outcome", detail), talk.now)
    assert "refused the call to sales" in requests(commands)
    assert types(commands) == ["conversation.item.create", "response.create"]
    assert steps(step(talk, "returned", "fn_c1", reason="refused", name="sales")) == [], "it is known already"
    assert requested(wait(talk, 3.5)) == []
