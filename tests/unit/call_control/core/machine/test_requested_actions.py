"""Actions requested of a call: each has one outcome, also if it is requested repeatedly."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bridge_common.wire.action_kinds import AGENT_ACTIONS
from bridge_common.wire.call_record import CallAction, Status
from bridge_common.wire.entries import Act, GoodbyeOver, HangUp, VoiceLost
from call_control.core.machine import call_commands
from call_control.core.machine.action_limits import MAX_ACTIONS, RESERVED
from call_control.core.machine.call_commands import InstructRelay, SendDtmf, SetTimer
from call_control.core.machine.call_machine import still_wanted
from call_control.core.machine.transition import CallPolicy, armed, awaited
from tests.unit.support.call_life import CALL, Life, answering, callback, ending, talking

CALLER = "4:+14255550100"
GOODBYE = ["SetTimer closing", "InstructRelay"]
HANG_UP = ["SetTimer ending", "End", "HangUp"]


def act(action: str, action_id: str = "act-1", by: str = "operator", **arguments: str) -> Act:
    return Act(CALL, action_id, action, json.dumps(arguments), by)


def phoned(rules: CallPolicy | None = None) -> Life:
    life = talking(rules) if rules else talking()
    life.record = replace(life.record, caller=CALLER)
    return life


def outcome(life: Life, number: int = 0) -> tuple[str, str]:
    action = life.record.actions[number]
    return action.state, action.reason


def instructed(life: Life) -> tuple[str, dict[str, object]]:
    command = life.issued(InstructRelay)
    assert isinstance(command, InstructRelay)
    return command.what, json.loads(command.detail)


# -- hang up ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("by", "interruptible"), [("operator", False), ("agent", True), ("silence_policy", True)])
def test_a_hang_up_waits_for_the_goodbye(by: str, interruptible: bool) -> None:
    life = phoned()
    assert sorted(life.on(act("hang_up", by=by))) == sorted(GOODBYE)
    assert instructed(life) == ("goodbye", {"interruptible": interruptible})
    assert life.at(Status.CONNECTED)
    assert outcome(life) == ("running", "")
    assert life.on(GoodbyeOver(CALL, "act-1", "heard")) == HANG_UP
    assert (life.record.end_reason, life.record.closing) == (f"hung_up_by_{by}", "act-1")
    assert outcome(life) == ("running", "heard"), "the call is not gone yet"
    life.on(callback("CallDisconnected"))
    assert outcome(life) == ("done", "heard")


def test_a_goodbye_that_takes_too_long_is_cut() -> None:
    life = phoned()
    life.on(act("hang_up"))
    assert life.due(SetTimer.CLOSING) == HANG_UP
    life.failed(call_commands.HangUp, "8522", gone=True)
    assert outcome(life) == ("done", "cut")


def test_a_hang_up_that_acs_never_confirms_has_failed() -> None:
    life = phoned()
    life.on(act("hang_up"))
    life.due(SetTimer.CLOSING)
    while not life.at(Status.ENDED):
        assert outcome(life) == ("running", "cut")
        life.failed(call_commands.HangUp)
        life.due(SetTimer.ENDING)
    assert outcome(life) == ("failed", "ACS did not confirm the end of the call")


def test_the_caller_can_interrupt_the_goodbye_of_an_agent() -> None:
    life = phoned()
    life.on(act("hang_up", by="agent"))
    assert life.on(GoodbyeOver(CALL, "act-1", "interrupted")) == ["InstructRelay"]
    assert instructed(life)[1] == {"action": "hang_up", "state": "canceled", "reason": "the caller is still talking"}
    assert life.record.closing == ""
    assert armed(life.record, SetTimer.CLOSING) is None
    assert sorted(life.on(act("hang_up", "act-2", by="agent"))) == sorted(GOODBYE)


def test_an_operator_s_hang_up_is_not_undone_by_the_caller() -> None:
    life = phoned()
    life.on(act("hang_up"))
    assert life.on(GoodbyeOver(CALL, "act-1", "interrupted")) == HANG_UP


def test_a_late_report_on_another_goodbye_changes_nothing() -> None:
    life = phoned()
    life.on(act("hang_up", by="agent"))
    life.on(GoodbyeOver(CALL, "act-1", "interrupted"))
    life.on(act("hang_up", "act-2", by="agent"))
    assert life.on(GoodbyeOver(CALL, "act-1", "heard")) == []
    assert life.record.closing == "act-2"


def test_a_second_hang_up_has_the_outcome_of_the_first() -> None:
    life = phoned()
    life.on(act("hang_up"))
    assert life.on(act("hang_up", "act-2")) == []
    assert outcome(life, 1) == ("running", "")
    life.on(GoodbyeOver(CALL, "act-1", "heard"))
    life.on(callback("CallDisconnected"))
    assert outcome(life, 0) == outcome(life, 1) == ("done", "heard")


def test_the_caller_cannot_undo_a_hang_up_that_an_operator_requests_too() -> None:
    life = phoned()
    life.on(act("hang_up", by="agent"))
    life.on(act("hang_up", "act-2"))
    assert life.on(GoodbyeOver(CALL, "act-1", "interrupted")) == HANG_UP


def test_a_goodbye_that_was_not_spoken_is_named_as_such() -> None:
    life = phoned()
    life.on(act("hang_up"))
    life.on(GoodbyeOver(CALL, "act-1", "failed"))
    assert outcome(life) == ("running", "not_spoken")


def test_an_immediate_hang_up_does_not_wait_for_the_goodbye() -> None:
    life = phoned()
    life.on(act("hang_up", by="agent"))
    assert life.on(HangUp(CALL, "operator", "")) == HANG_UP
    life.on(callback("CallDisconnected"))
    assert outcome(life) == ("done", "call_ended")


def test_a_caller_who_hangs_up_first_leaves_a_reason() -> None:
    life = phoned()
    life.on(act("hang_up", by="agent"))
    life.on(callback("CallDisconnected", sub_code=560000))
    assert outcome(life) == ("done", "call_ended")


def test_a_lost_voice_session_does_not_keep_a_closing_call() -> None:
    life = phoned(CallPolicy(transfer_target="4:+18005550000"))
    life.on(act("hang_up", by="agent"))
    assert life.on(VoiceLost(CALL, 2**62, "gone")) == HANG_UP
    assert life.record.end_reason == "hung_up_by_agent"


# -- maximum length of a call -----------------------------------------------------------------------------------------
def test_the_longest_call_ends_with_a_warning_and_a_goodbye() -> None:
    life = phoned()
    assert life.due(SetTimer.WARNING) == ["InstructRelay"]
    assert instructed(life) == ("time_left", {"seconds": 60})
    assert sorted(life.due(SetTimer.LENGTH)) == sorted(GOODBYE)
    assert life.on(GoodbyeOver(CALL, life.record.closing, "interrupted")) == HANG_UP
    assert life.record.end_reason == "too_long"


def test_a_call_that_goes_on_after_its_longest_time_is_still_ended() -> None:
    life = phoned()
    life.on(act("hang_up", by="agent"))
    assert life.due(SetTimer.LENGTH) == ["SetTimer length"]
    life.on(GoodbyeOver(CALL, "act-1", "interrupted"))
    assert sorted(life.due(SetTimer.LENGTH)) == sorted(GOODBYE)


# -- tones ------------------------------------------------------------------------------------------------------------
def test_tones_are_sent_and_their_outcome_is_recorded() -> None:
    life = phoned()
    assert life.on(act("send_dtmf", by="agent", tones="12#")) == ["SetTimer tones", "SendDtmf"]
    command = life.issued(SendDtmf)
    assert isinstance(command, SendDtmf)
    assert command.tones == "12#"
    life.done(SendDtmf)
    assert outcome(life) == ("running", "")
    assert life.on(callback("SendDtmfTonesCompleted", context=command.operation_context)) == ["InstructRelay"]
    assert outcome(life) == ("done", "sent")
    assert life.on(callback("SendDtmfTonesFailed", context=command.operation_context)) == []


def test_failed_and_refused_tones() -> None:
    life = phoned()
    life.on(act("send_dtmf", tones="1"))
    context = f"SendDtmf-{life.waiting(SendDtmf)}"
    life.done(SendDtmf)
    life.on(callback("SendDtmfTonesFailed", code=400, sub_code=8501, context=context))
    assert outcome(life) == ("failed", "400/8501")
    life.on(act("send_dtmf", "act-2", tones="1"))
    life.failed(SendDtmf, "8523")
    assert outcome(life, 1) == ("failed", "8523")


def test_tones_whose_outcome_is_lost_have_failed() -> None:
    life = phoned()
    life.on(act("send_dtmf", by="agent", tones="1"))
    life.done(SendDtmf)
    life.now_ms += 10_000
    life.on(act("send_dtmf", "act-2", tones="2"))
    unknown = ("failed", "outcome unknown: ACS did not report it; the tones may have been sent")
    assert sorted(life.due(SetTimer.TONES)) == ["InstructRelay", "SetTimer tones"]
    assert (outcome(life), outcome(life, 1)) == (unknown, ("running", ""))
    pending = awaited(life.record, life.waiting(SendDtmf))
    assert isinstance(pending, SendDtmf)
    assert still_wanted(life.record, pending)
    assert life.due(SetTimer.TONES) == []
    assert outcome(life, 1) == unknown
    assert armed(life.record, SetTimer.TONES) is None
    assert not still_wanted(life.record, pending), "another replica does not send them later"


def test_tones_that_acs_did_not_confirm_may_have_been_sent() -> None:
    life = phoned()
    life.on(act("send_dtmf", tones="1"))
    life.failed(SendDtmf, "unavailable")
    assert outcome(life) == ("failed", "outcome unknown: ACS did not report it; the tones may have been sent")


def test_tones_need_a_phone() -> None:
    life = talking()
    assert life.on(act("send_dtmf", tones="1")) == []
    assert outcome(life) == ("failed", "tones can only be sent to a phone")
    assert life.on(act("send_dtmf", "act-2", by="agent", tones="1")) == ["InstructRelay"]
    assert instructed(life)[1] == {"action": "send_dtmf", "state": "failed", "reason": outcome(life, 1)[1]}


# -- repetitions ------------------------------------------------------------------------------------------------------
def test_a_repeated_id_is_one_action() -> None:
    life = phoned()
    life.on(act("send_dtmf", tones="1"))
    assert life.on(act("send_dtmf", tones="1")) == []
    assert len(life.record.actions) == 1


def test_an_agent_that_asks_again_gets_the_first_action() -> None:
    life = phoned()
    life.on(act("send_dtmf", by="agent", tones="1"))
    assert life.on(act("send_dtmf", "act-2", by="agent", tones="1")) == []
    assert "SendDtmf" in life.on(act("send_dtmf", "act-3", by="agent", tones="2"))
    life.now_ms += 60_001
    assert life.on(act("send_dtmf", "act-4", by="agent", tones="1")) == ["SendDtmf"]


def test_an_operator_may_send_the_same_tones_twice() -> None:
    life = phoned()
    life.on(act("send_dtmf", tones="1"))
    assert life.on(act("send_dtmf", "act-2", tones="1")) == ["SendDtmf"]


# -- notes, rejected actions, end of the call -------------------------------------------------------------------------
def test_notes_are_kept_with_the_call() -> None:
    life = phoned()
    life.on(act("note", text="wants a call back"))
    life.on(act("disposition", "act-2", text="sale"))
    assert [(one.kind, one.state) for one in life.record.actions] == [("note", "done"), ("disposition", "done")]


@pytest.mark.parametrize("life", [answering(), ending()])
def test_a_call_that_is_not_connected_refuses_actions(life: Life) -> None:
    status = life.record.status
    assert life.on(act("send_dtmf", tones="1")) == []
    assert outcome(life) == ("failed", f"not possible while the call is {status}")


@pytest.mark.parametrize("ended", [False, True])
def test_operators_complete_the_record_after_the_call(ended: bool) -> None:
    life = ending()
    if ended:
        life.on(callback("CallDisconnected"))
    status = life.record.status
    life.on(act("disposition", text="sale"))
    life.on(act("note", "act-2", text="a"))
    life.on(act("note", "act-3", by="agent", text="b"))
    assert [one.state for one in life.record.actions] == ["done", "done", "failed"]
    assert life.record.status is status


def test_open_actions_end_with_the_call() -> None:
    life = phoned()
    life.on(act("send_dtmf", tones="1"))
    life.on(callback("CallDisconnected", sub_code=560000))
    assert outcome(life) == ("failed", "the call has ended")


# -- limits -----------------------------------------------------------------------------------------------------------
def test_no_action_is_dropped_and_further_ones_are_refused() -> None:
    life = phoned()
    for number in range(MAX_ACTIONS):
        life.on(act("note", f"note-{number}", text="a"))
    assert {action.state for action in life.record.actions} == {"done"}
    life.on(act("note", "further", text="a"))
    limit = f"the call has reached its limit of {MAX_ACTIONS} actions"
    assert outcome(life, MAX_ACTIONS) == ("failed", limit)
    assert life.on(act("note", "note-0", text="b")) == [], "the key of the first note is still known"
    assert life.step.ignored
    assert sorted(life.on(act("hang_up", "bye"))) == sorted(GOODBYE), "a call can always be hung up"


def test_requests_beyond_all_limits_do_not_grow_the_record() -> None:
    life = phoned()
    for number in range(2 * MAX_ACTIONS):
        life.on(act("note", f"note-{number}", text="a"))
        life.on(act("note", f"agent-{number}", by="agent", text=str(number)))
    assert len(life.record.actions) == MAX_ACTIONS + RESERVED
    assert life.on(act("note", "last", by="agent", text="last")) == ["InstructRelay"]
    assert instructed(life)[1]["state"] == "failed"


def test_an_agent_that_loops_is_stopped() -> None:
    life = phoned()
    for number in range(AGENT_ACTIONS):
        assert life.on(act("send_dtmf", f"act-{number}", by="agent", tones=f"{number}"))[-1] == "SendDtmf"
    assert life.on(act("send_dtmf", "further", by="agent", tones="11")) == ["InstructRelay"]
    assert outcome(life, AGENT_ACTIONS) == ("failed", "too many actions within 10 s")
    assert life.on(act("send_dtmf", "of-operator", tones="1")) == ["SendDtmf"]
    assert sorted(life.on(act("hang_up", "bye", by="agent"))) == sorted(GOODBYE)
    life.now_ms += 10_001
    assert life.on(act("send_dtmf", "later", by="agent", tones="11")) == ["SendDtmf"]


def test_an_action_knows_whether_it_is_open() -> None:
    action = CallAction("a", "note", "{}", "agent", 1)
    assert action.open
    assert not replace(action, state="done").open
