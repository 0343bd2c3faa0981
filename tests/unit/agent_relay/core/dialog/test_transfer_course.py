from __future__ import annotations

import pytest

from agent_relay.core.dialog.transfer_course import Step, TransferCourse, TransferState, decode_transfer


def test_a_transfer_goes_forward_only_and_may_skip_steps() -> None:
    course = TransferCourse()
    assert course.is_new("act_1", Step.WAITING)
    course.enter(TransferState("act_1", Step.SCREENING))
    assert [step for step in Step if course.is_new("act_1", step)] == [Step.BRIDGED, Step.RETURNED, Step.ENDING]


def test_another_transfer_ends_the_first() -> None:
    course = TransferCourse(TransferState("act_1", Step.WAITING))
    assert course.is_new("act_2", Step.CONNECTING)
    course.enter(TransferState("act_2", Step.CONNECTING))
    assert not course.is_new("act_1", Step.RETURNED)
    assert course.of("act_1") is None


def test_nothing_follows_the_end_of_the_call() -> None:
    course = TransferCourse(TransferState("act_1", Step.ENDING))
    assert course.rests
    assert not course.is_new("act_2", Step.WAITING)


@pytest.mark.parametrize("step", list(Step))
def test_the_agent_rests_from_the_wait_to_the_return(step: Step) -> None:
    assert TransferCourse(TransferState("act_1", step)).rests is (step not in (Step.CONNECTING, Step.RETURNED))


@pytest.mark.parametrize(
    "transfer",
    [
        TransferState("act_1", Step.BRIDGED, "sales"),
        TransferState("act_1", Step.RETURNED, "sales", "", "busy", joined=True),
    ],
)
def test_a_notice_describes_the_transfer(transfer: TransferState) -> None:
    assert decode_transfer(transfer.notice()) == transfer


@pytest.mark.parametrize("detail", ["", "[]", "{}", '{"step":"dance"}', '{"step":7}'])
def test_an_invalid_notice_is_ignored(detail: str) -> None:
    assert decode_transfer(detail) is None


def test_the_outcome_of_a_screening_is_no_step() -> None:
    assert decode_transfer(TransferState("act_1", Step.SCREENING).notice("confirmed")) is None
