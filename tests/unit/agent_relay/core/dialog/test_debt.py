from __future__ import annotations

from agent_relay.core.dialog.debt import Debt, DebtKind, DebtStep, Limits, Missed, State


def test_what_follows_has_one_word_in_logs_and_metrics() -> None:
    assert Missed(DebtKind.WORDS, DebtStep.AGAIN, "no audio").outcome == "asked_again"
    assert Missed(DebtKind.WORDS, DebtStep.FALLBACK, "no audio").outcome == "fallback"
    assert Missed(DebtKind.WORDS, DebtStep.GIVEN_UP, "no audio").outcome == "given_up"
    assert Missed(DebtKind.WORDS, DebtStep.FIRST, "rate_limit_exceeded", wait_s=3.0).outcome == "put_off"
    assert Missed(DebtKind.REST, DebtStep.FIRST, "noise", resumes=True).outcome == "resumed"


def test_a_debt_begins_with_its_first_step_and_nothing_asked() -> None:
    debt = Debt(DebtKind.KEYS, 1.0)
    assert (debt.step, debt.state, debt.requested, debt.moved) == (DebtStep.FIRST, State.OPEN, False, False)


def test_the_documented_limits() -> None:
    assert Limits() == Limits(start_s=5.0, patience_s=60.0, fallback_s=10.0)
