from __future__ import annotations

from agent_relay.core.debt import Debt, Kind, Limits, Missed, State, Step


def test_what_follows_has_one_word_in_logs_and_metrics() -> None:
    assert Missed(Kind.WORDS, Step.AGAIN, "no audio").outcome == "asked_again"
    assert Missed(Kind.WORDS, Step.FALLBACK, "no audio").outcome == "fallback"
    assert Missed(Kind.WORDS, Step.GIVEN_UP, "no audio").outcome == "given_up"
    assert Missed(Kind.WORDS, Step.FIRST, "rate_limit_exceeded", wait_s=3.0).outcome == "put_off"
    assert Missed(Kind.REST, Step.FIRST, "noise", resumes=True).outcome == "resumed"


def test_a_debt_begins_with_its_first_step_and_nothing_asked() -> None:
    debt = Debt(Kind.KEYS, 1.0)
    assert (debt.step, debt.state, debt.requested, debt.moved) == (Step.FIRST, State.OPEN, False, False)


def test_the_documented_limits() -> None:
    assert Limits() == Limits(start_s=5.0, patience_s=60.0, fallback_s=10.0)
