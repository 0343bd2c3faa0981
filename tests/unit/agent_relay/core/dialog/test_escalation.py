from __future__ import annotations

import pytest

from agent_relay.core.dialog.debt import Debt, DebtKind, DebtStep, Limits, State
from agent_relay.core.dialog.escalation import FIRST_WAIT_S, LONGEST_WAIT_S, MOST_FALLBACKS, MOST_NOISES, Escalation

LIMITS = Limits(start_s=5.0, patience_s=60.0, fallback_s=10.0)


def _debt(step: DebtStep = DebtStep.FIRST) -> Debt:
    return Debt(DebtKind.WORDS, 1.0, step=step, state=State.WORKING, response_id="r1", requested=True)


def test_each_failure_is_one_step_and_opens_the_debt_again() -> None:
    escalation, debt = Escalation(LIMITS), _debt()
    steps = [escalation.next_step(debt, "no audio", now).step for now in (2.0, 3.0, 4.0)]
    assert steps == [DebtStep.AGAIN, DebtStep.FALLBACK, DebtStep.GIVEN_UP]
    assert (debt.state, debt.since, debt.response_id, debt.requested) == (State.OPEN, 4.0, "", False)


def test_a_session_that_is_stuck_is_replaced_once() -> None:
    escalation, debt = Escalation(LIMITS), _debt()
    assert escalation.next_step(debt, "stalled", 2.0, stuck=True).move
    assert not escalation.next_step(debt, "stalled", 3.0, stuck=True).move
    assert not escalation.next_step(_debt(DebtStep.FALLBACK), "stalled", 2.0, stuck=True).move, "given up"


def test_fallbacks_without_an_answer_between_end_in_giving_up() -> None:
    escalation = Escalation(LIMITS)
    for _ in range(MOST_FALLBACKS):
        assert escalation.next_step(_debt(DebtStep.AGAIN), "no audio", 2.0).step is DebtStep.FALLBACK
        escalation.paid(_debt(DebtStep.FALLBACK))
    assert escalation.next_step(_debt(DebtStep.AGAIN), "no audio", 2.0).step is DebtStep.GIVEN_UP
    escalation.paid(_debt())
    assert escalation.next_step(_debt(DebtStep.AGAIN), "no audio", 2.0).step is DebtStep.FALLBACK


@pytest.mark.parametrize(("stated", "waits"), [(3.0, [3.0, 3.0]), (0.0, [FIRST_WAIT_S, 2.0, 4.0, 8.0, LONGEST_WAIT_S])])
def test_a_quota_is_waited_for_without_a_step(stated: float, waits: list[float]) -> None:
    escalation, debt = Escalation(LIMITS), _debt()
    for wait in waits:
        missed = escalation.over_quota(debt, "rate_limit", stated, 2.0)
        assert (missed.step, missed.wait_s, debt.state, debt.retry_at) == (
            DebtStep.FIRST,
            wait,
            State.PUT_OFF,
            2.0 + wait,
        )


def test_a_quota_is_not_waited_for_longer_than_the_callers_patience() -> None:
    missed = Escalation(LIMITS).over_quota(_debt(), "rate_limit", LIMITS.patience_s + 1.0, 2.0)
    assert (missed.step, missed.wait_s) == (DebtStep.FALLBACK, None), "a repeated request would fail the same way"
    assert Escalation(LIMITS).over_quota(_debt(DebtStep.FALLBACK), "rate_limit", 1.0, 2.0).step is DebtStep.GIVEN_UP


def test_noises_repeat_a_request_for_a_while() -> None:
    escalation, debt = Escalation(LIMITS), _debt()
    for _ in range(MOST_NOISES):
        assert escalation.after_noise(debt, 2.0).resumes
    assert escalation.after_noise(debt, 2.0).step is DebtStep.FALLBACK
    late = escalation.after_noise(_debt(), 1.0 + LIMITS.patience_s + 0.1)
    assert (late.step, late.resumes) == (DebtStep.FALLBACK, False)
