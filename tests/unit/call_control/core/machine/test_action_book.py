from __future__ import annotations

import json

import pytest

from bridge_common.wire.call_record import CallAction, CallRecord, Status
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.action_book import argument_of, find_action, finish, of_failed, of_operation, with_action
from call_control.core.machine.call_commands import HoldParticipant, InstructRelay, MuteParticipant
from call_control.core.machine.call_events import CommandDone, CommandFailed
from call_control.core.machine.transition import CallPolicy, Transition

HOLD = CallAction("act-1", "hold", '{"participant":"billing"}', "agent", 1, "running", operation="HoldParticipant-3")
RECORD = CallRecord(call_id="call_1", status=Status.CONNECTED, actions=(HOLD,))


def test_actions_are_found_added_and_replaced() -> None:
    other = CallAction("act-2", "mute", "{}", "operator", 2)
    both = with_action(RECORD, other)
    assert (find_action(both, "act-1"), find_action(both, "act-2"), find_action(both, "x")) == (HOLD, other, None)
    assert with_action(both, HOLD) == both
    assert (argument_of(HOLD, "participant"), argument_of(other, "participant")) == ("billing", "")


@pytest.mark.parametrize(("context", "found"), [("HoldParticipant-3", HOLD), ("HoldParticipant-4", None), ("", None)])
def test_a_callback_names_the_operation(context: str, found: CallAction | None) -> None:
    assert of_operation(RECORD, AcsEvent("1", "HoldFailed", "c", operation_context=context)) == found
    assert of_operation(RECORD, CommandDone(3)) is None


def test_a_failed_command_belongs_to_its_action() -> None:
    failed = CommandFailed(3, "8501")
    assert of_failed(RECORD, failed, HoldParticipant, MuteParticipant) == HOLD
    assert of_failed(RECORD, failed, MuteParticipant) is None
    assert of_failed(RECORD, CommandFailed(4, "8501"), HoldParticipant) is None


@pytest.mark.parametrize(("by", "told"), [("agent", 1), ("silence_policy", 1), ("operator", 0), ("caller", 0)])
def test_agents_are_notified_of_the_outcome(by: str, told: int) -> None:
    action = CallAction("act-1", "hold", "{}", by, 1, "running")
    transition = Transition(RECORD, CallPolicy(), 1, "1-0", RECORD)
    finish(transition, action, "done", "on_hold")
    sent = [command for command in transition.issued if isinstance(command, InstructRelay)]
    assert [json.loads(one.detail)["reason"] for one in sent] == ["on_hold"] * told
    assert [(one.state, one.reason) for one in transition.record.actions] == [("done", "on_hold")]
