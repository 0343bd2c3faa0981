from __future__ import annotations

import pytest

from agent_relay.core.dialog.debt import (
    FIRST_WAIT_S,
    LONGEST_WAIT_S,
    MOST_FALLBACKS,
    MOST_NOISES,
    Debt,
    DebtKind,
    DebtStep,
    Escalation,
    Limits,
    Missed,
    State,
    SuspendedDebt,
)

LIMITS = Limits(start_s=5.0, patience_s=60.0, fallback_s=10.0, hold_after_s=0.5)


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
    assert Limits() == Limits(start_s=5.0, patience_s=60.0, fallback_s=10.0, hold_after_s=0.5)


# -- the next step
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


# -- the debt that the caller's speech suspends
def _words(item: str = "u1", response: str = "") -> Debt:
    return Debt(DebtKind.WORDS, 1.0, item, response_id=response)


def test_a_noise_restores_what_was_owed_before() -> None:
    suspended, debt = SuspendedDebt(), Debt(DebtKind.KEYS, 1.0)
    suspended.suspend(debt, caller_speaks=True)
    speaks = [suspended.caller_speaks]
    suspended.cut_off()
    suspended.suspend(None, caller_speaks=False)
    assert [*speaks, suspended.caller_speaks] == [True, False]
    assert suspended.take() == (debt, True)
    assert suspended.take() == (None, False), "once"


def test_words_that_may_be_a_noise_do_not_replace_an_older_debt() -> None:
    suspended, keys = SuspendedDebt(), Debt(DebtKind.KEYS, 1.0)
    suspended.suspend(keys, caller_speaks=True)
    suspended.suspend(_words(), caller_speaks=False)
    assert suspended.take()[0] is keys
    suspended.suspend(keys, caller_speaks=True)
    answered = _words(response="r1")
    suspended.suspend(answered, caller_speaks=False)
    assert suspended.take()[0] is answered, "a response to it has begun"


def test_a_debt_of_this_moment_covers_it() -> None:
    suspended, keys = SuspendedDebt(), Debt(DebtKind.KEYS, 2.0)
    suspended.suspend(_words(response="r1"), caller_speaks=True)
    suspended.replace(keys)
    assert suspended.take()[0] is keys


def test_it_is_paid_by_the_audio_of_its_response() -> None:
    suspended = SuspendedDebt()
    suspended.suspend(_words(response="r1"), caller_speaks=True)
    suspended.heard("r2")
    suspended.heard("r1")
    assert suspended.take()[0] is None


def test_the_noise_itself_is_owed_no_answer() -> None:
    suspended = SuspendedDebt()
    suspended.suspend(_words("u1"), caller_speaks=True)
    suspended.no_words("u2")
    suspended.no_words("u1")
    assert suspended.take()[0] is None
    suspended.suspend(_words("u1", response="r1"), caller_speaks=True)
    suspended.no_words("u1")
    assert suspended.take()[0] is not None, "its response is under way"


def test_the_next_session_pays_it_if_the_caller_was_speaking() -> None:
    suspended, keys, words = SuspendedDebt(), Debt(DebtKind.KEYS, 1.0), _words()
    assert suspended.session_lost(words) is words
    suspended.suspend(keys, caller_speaks=True)
    assert suspended.session_lost(None) is keys
    assert not suspended.caller_speaks
    assert suspended.take() == (None, False)
