from __future__ import annotations

from dataclasses import replace

import pytest

from agent_relay.core.dialog.audience import CallParties
from agent_relay.core.dialog.recorded_transfer import left_transfer, parties_of, with_transfer
from agent_relay.core.dialog.transfer_course import Step, TransferState
from bridge_common.wire.call_record import CallAction, CallRecord, Participant, Status, TransferStage
from bridge_common.wire.entries import Notice

ACTION = CallAction("act_1", "transfer", '{"target":"sales","topic":"an order"}', "agent", 5, state="running")
CONNECTED = CallRecord(call_id="call_1", status=Status.CONNECTED, caller="4:+14255550100", actions=(ACTION,))
DIALING = replace(CONNECTED, transfer="act_1", transfer_stage=TransferStage.DIALING)


def notice(step: Step, **fields: object) -> Notice:
    return Notice("transfer", replace(TransferState("act_1", step, "sales"), **fields).notice(), 7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("stage", "step"),
    [
        (TransferStage.CONNECTING, Step.CONNECTING),
        (TransferStage.TRANSFERRING, Step.WAITING),
        (TransferStage.DIALING, Step.WAITING),
        (TransferStage.SCREENING, Step.SCREENING),
        (TransferStage.BRIDGED, Step.BRIDGED),
    ],
)
def test_a_transfer_under_way_is_in_the_record(stage: TransferStage, step: Step) -> None:
    record = replace(DIALING, transfer_stage=stage)
    assert left_transfer(record, []) == TransferState("act_1", step, "sales", "an order")
    assert left_transfer(replace(record, actions=()), []) == TransferState("act_1", step)


def test_a_call_without_a_transfer_and_one_that_ends_have_none() -> None:
    assert left_transfer(CONNECTED, []) is None
    assert left_transfer(replace(DIALING, closing="act_2"), []) is None


@pytest.mark.parametrize(
    ("step", "state", "expected"),
    [
        (Step.WAITING, "failed", TransferState("act_1", Step.RETURNED, "sales", reason="busy")),
        (Step.BRIDGED, "done", TransferState("act_1", Step.RETURNED, "sales", joined=True)),
        (Step.CONNECTING, "failed", TransferState("act_1", Step.RETURNED, "sales", reason="busy")),
        (Step.CONNECTING, "canceled", None),
        (Step.RETURNED, "failed", None),
    ],
)
def test_the_end_of_a_transfer_may_be_unreported(step: Step, state: str, expected: TransferState | None) -> None:
    """The previous relay died before it informed the agent."""
    ended = replace(CONNECTED, actions=(replace(ACTION, state=state, reason="busy" if state == "failed" else ""),))
    assert left_transfer(ended, [notice(Step.CONNECTING), notice(step)]) == expected


def test_other_and_invalid_notices_do_not_count() -> None:
    confirmed = Notice("transfer", TransferState("act_1", Step.SCREENING, "sales").notice("confirmed"), 8)
    entries = [notice(Step.SCREENING), confirmed, Notice("transfer", "nonsense", 9), Notice("tones", "1", 9)]
    found = left_transfer(CONNECTED, entries)
    assert found is not None
    assert found.step is Step.RETURNED


def test_the_people_in_the_call() -> None:
    people = (
        Participant("4:+1", "sales", "joined"),
        Participant("4:+2", "support", "ringing"),
        Participant("8:acs:3", "", "joined"),
        Participant("4:+14255550100", "", "joined"),
    )
    record = replace(CONNECTED, participants=people, caller_display_name="Ada", caller_on_hold=True)
    assert parties_of(record) == CallParties("4:+14255550100", "Ada", ("sales", "8:acs:3"), caller_on_hold=True)


# -- a record that Redis has lost -------------------------------------------------------------------------------------
@pytest.mark.parametrize("step", [Step.WAITING, Step.SCREENING, Step.BRIDGED])
def test_an_older_record_gets_the_stage_that_the_relay_knows(step: Step) -> None:
    known = TransferState("act_1", step, "sales", "an order")
    for older in (CONNECTED, replace(CONNECTED, transfer="act_1", transfer_stage=TransferStage.CONNECTING)):
        restored = with_transfer(older, known, 9)
        assert left_transfer(restored, []) == known
        talks = step is Step.BRIDGED
        agreeing = replace(ACTION, state="done", reason="connected") if talks else ACTION
        assert restored.actions == (agreeing,), "action and stage agree"


def test_an_action_that_the_record_lacks_is_restored_too() -> None:
    known = TransferState("fn_c1", Step.BRIDGED, "sales", "an order")
    restored = with_transfer(replace(CONNECTED, actions=()), known, 9)
    assert left_transfer(restored, []) == known
    [action] = restored.actions
    assert (action.kind, action.by, action.at_ms, action.state) == ("transfer", "agent", 9, "done")


@pytest.mark.parametrize("stage", [TransferStage.TRANSFERRING, TransferStage.DIALING, TransferStage.BRIDGED])
def test_a_newer_record_stays_as_it_is(stage: TransferStage) -> None:
    record = replace(DIALING, transfer_stage=stage)
    assert with_transfer(record, TransferState("act_1", Step.WAITING, "sales"), 9) == record


@pytest.mark.parametrize(
    "known",
    [
        None,
        TransferState("act_1", Step.CONNECTING),
        TransferState("act_1", Step.ENDING),
        TransferState("act_0", Step.WAITING),
    ],
)
def test_nothing_is_restored_that_the_relay_requests_again_or_that_is_over(known: TransferState | None) -> None:
    assert with_transfer(DIALING, known, 9) == DIALING


def test_a_transfer_that_call_control_has_ended_is_not_restored() -> None:
    ended = replace(CONNECTED, actions=(replace(ACTION, state="failed"),))
    assert with_transfer(ended, TransferState("act_1", Step.WAITING), 9) == ended


def test_a_transfer_is_over_if_the_caller_is_back() -> None:
    restored = with_transfer(DIALING, TransferState("act_1", Step.RETURNED, "sales", reason="busy"), 9)
    assert (restored.transfer, restored.transfer_stage) == ("", TransferStage.NONE)
    assert [(one.state, one.reason) for one in restored.actions] == [("failed", "busy")]
    assert with_transfer(CONNECTED, TransferState("act_9", Step.RETURNED), 9) == CONNECTED
