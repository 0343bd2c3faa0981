from __future__ import annotations

import pytest
from pydantic import ValidationError

from lab.acs.acs_faults import AcsFaults, FaultPlan


def test_a_fault_has_the_configured_number_of_uses() -> None:
    faults = AcsFaults()
    faults.put(FaultPlan.model_validate({"rest": {"answer": {"status": 429, "times": 2}}}))
    assert [faults.rest("answer") is not None for _ in range(4)] == [True, True, False, False]


def test_a_fault_without_times_lasts_until_it_is_removed() -> None:
    faults = AcsFaults()
    faults.put(FaultPlan.model_validate({"media": {"refuse": True}, "event_grid": {"delay_s": 1}}))
    assert all(faults.media() is not None for _ in range(10))
    assert faults.event_grid() is not None
    faults.clear()
    assert faults.media() is None
    assert faults.event_grid() is None


def test_a_named_operation_goes_before_all_operations() -> None:
    faults = AcsFaults()
    faults.put(FaultPlan.model_validate({"rest": {"*": {"status": 500}, "answer": {"status": 429}}}))
    answer, other = faults.rest("answer"), faults.rest("hang_up")
    assert answer is not None
    assert other is not None
    assert (answer.status, other.status) == (429, 500)


def test_callback_faults_can_be_for_some_events_only() -> None:
    faults = AcsFaults()
    faults.put(FaultPlan.model_validate({"callbacks": {"types": ["CallConnected"], "drop": True, "times": 1}}))
    assert faults.callbacks(["Microsoft.Communication.ParticipantsUpdated"]) is None
    assert faults.callbacks(["Microsoft.Communication.CallConnected"]) is not None
    assert faults.callbacks(["Microsoft.Communication.CallConnected"]) is None


@pytest.mark.parametrize("plan", [{"rests": {}}, {"rest": {"answer": {"status": 101}}}, {"media": {"times": 0}}])
def test_a_misspelt_or_impossible_plan_is_refused(plan: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FaultPlan.model_validate(plan)


def test_a_fault_lasts_for_its_duration() -> None:
    now = [100.0]
    faults = AcsFaults(lambda: now[0])
    faults.put(FaultPlan.model_validate({"rest": {"start_media_streaming": {"status": 400, "for_s": 3}}}))
    for at, struck in ((100.0, True), (103.0, True), (103.1, False), (200.0, False)):
        now[0] = at
        assert (faults.rest("start_media_streaming") is not None) is struck
