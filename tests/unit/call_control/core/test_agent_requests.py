"""Decodes tool calls of Foundry agents, and checks the answers to the agent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge_common.wire.agent_tools import AGENT_TOOLS
from bridge_common.wire.call_record import CallAction, CallRecord, Status
from bridge_common.wire.call_reference import ReferredCall
from call_control.core import agent_requests as requests

CALL = "call_0123456789abcdef01234567"
CONNECTED = CallRecord(call_id=CALL, status=Status.CONNECTED)
END, NOTE, DTMF = AGENT_TOOLS["end_call"], AGENT_TOOLS["add_note"], AGENT_TOOLS["send_dtmf"]
ALL = ReferredCall(CALL, tuple(AGENT_TOOLS))


@pytest.mark.parametrize(
    ("arguments", "reference"),
    [({"call": "7qk4m2x9rd"}, "7QK4-M2X9-RD"), ({}, ""), ({"call": 5}, ""), ({"call": "the call"}, "")],
)
def test_references(arguments: dict[str, object], reference: str) -> None:
    assert requests.reference_of(arguments) == reference


@pytest.mark.parametrize(
    ("record", "allowed", "reason"),
    [
        (CONNECTED, ALL, ""),
        (CONNECTED, ReferredCall(CALL, ("add_note",)), "end_call is not allowed in this call; these are: add_note."),
        (CONNECTED, ReferredCall(CALL, ()), "end_call is not allowed in this call; these are: none."),
        (replace(CONNECTED, status=Status.RINGING), ALL, "The call is not connected."),
        (replace(CONNECTED, status=Status.ENDED), ALL, "The call has ended."),
        (replace(CONNECTED, closing="act-1"), ALL, "The call is already being ended."),
    ],
)
def test_refusals(record: CallRecord, allowed: ReferredCall, reason: str) -> None:
    act = requests.request_of(END, {"reason": "done"}, record, "act-2")
    assert requests.refusal_of(END, act, record, allowed, 1) == reason


def test_unknown_targets_are_refused_with_the_known_ones() -> None:
    transfer = AGENT_TOOLS["transfer_call"]
    arguments = {"target": "support", "topic": "", "summary": "wants a refund"}
    act = requests.request_of(transfer, arguments, CONNECTED, "act-2")
    assert requests.fault_in(transfer, arguments) == ""
    reason = "The routing policy has no target 'support'; the targets are billing, anna."
    assert requests.refusal_of(transfer, act, CONNECTED, ALL, 1, ("billing", "anna")) == reason
    assert requests.refusal_of(transfer, act, CONNECTED, ALL, 1) == "The routing policy has no targets."
    assert requests.refusal_of(transfer, act, CONNECTED, ALL, 1, ("support",)) == ""


@pytest.mark.parametrize("arguments", ['{"target":"billing","topic":"a"}', "no JSON"])
def test_a_second_transfer_is_refused_at_once_whatever_its_target(arguments: str) -> None:
    action = CallAction("act-1", "transfer", arguments, "agent", 1, "running")
    record = replace(CONNECTED, transfer="act-1", actions=(action,))
    name = " to billing" if "billing" in arguments else ""
    for target in ("billing", "support"):
        act = requests.request_of(AGENT_TOOLS["transfer_call"], {"target": target}, record, "act-2")
        reason = requests.refusal_of(AGENT_TOOLS["transfer_call"], act, record, ALL, 1, ("billing", "support"))
        assert reason == f"A transfer{name} is under way. Wait for its outcome."


def test_bad_arguments_are_refused_with_their_fault() -> None:
    fault = "`digits` must be 1 to 18 characters of 0-9, A-D, * and #."
    assert requests.fault_in(DTMF, {"call": "7QK4-M2X9-RD", "digits": "hello"}) == fault
    assert requests.fault_in(DTMF, {"call": "7QK4-M2X9-RD", "digits": "1"}) == ""


def test_a_note_may_be_left_while_the_call_ends() -> None:
    record = replace(CONNECTED, closing="act-1")
    act = requests.request_of(NOTE, {"text": "a"}, record, "act-2")
    assert requests.refusal_of(NOTE, act, record, ALL, 1) == ""


def test_too_many_actions_are_refused_with_a_sentence() -> None:
    actions = tuple(CallAction(f"act-{number}", "note", "{}", "agent", 9_000, "done") for number in range(10))
    record = replace(CONNECTED, actions=actions)
    act = requests.request_of(NOTE, {"text": "a"}, record, "act-2")
    reason = "Too many actions within 10 s. Continue the conversation without it."
    assert requests.refusal_of(NOTE, act, record, ALL, 10_000) == reason
    assert requests.refusal_of(NOTE, act, record, ALL, 19_001) == ""


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        ("running", {"ok": True, "state": "running", "say": END.accepted}),
        ("done", {"ok": True, "state": "done", "say": END.accepted}),
    ],
)
def test_a_repetition_gets_the_first_answer(state: str, answer: dict[str, object]) -> None:
    first = CallAction("act-1", "hang_up", "{}", "agent", 1, state)
    record = replace(CONNECTED, actions=(first,))
    act = requests.request_of(END, {"reason": "done"}, record, "act-2")
    assert requests.known_answer(END, act, record, 90_000) == answer


def test_a_failed_action_may_be_tried_again() -> None:
    record = replace(CONNECTED, actions=(CallAction("act-1", "send_dtmf", '{"tones":"1"}', "agent", 1, "failed"),))
    act = requests.request_of(DTMF, {"digits": "1"}, record, "act-2")
    assert requests.known_answer(DTMF, act, record, 2) is None
