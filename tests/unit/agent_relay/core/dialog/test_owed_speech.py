"""One pending response at a time, from its creation to its end. `test_owed_speech_properties` tests random orders of
events.
"""

from __future__ import annotations

import pytest

from agent_relay.core.dialog.debt import MOST_FALLBACKS, DebtKind, DebtStep, Limits, Missed, State
from agent_relay.core.dialog.owed_speech import OwedSpeech

LIMITS = Limits(start_s=5.0, patience_s=60.0, fallback_s=10.0)


def owing(kind: DebtKind = DebtKind.KEYS, *, asked: bool = True) -> OwedSpeech:
    """Return a response that has been pending since second 1."""
    owed = OwedSpeech(LIMITS)
    owed.owe(kind, 1.0)
    if asked:
        owed.asked(1.0)
    return owed


def state(owed: OwedSpeech) -> State | None:
    return owed.debt.state if owed.debt is not None else None


def step(owed: OwedSpeech) -> DebtStep | None:
    return owed.debt.step if owed.debt is not None else None


def fails(owed: OwedSpeech, response: str, now: float) -> Missed | None:
    owed.asked(now)
    owed.began(response, now)
    return owed.failed(response, "no audio", now)


def test_it_is_paid_when_its_sound_was_played_and_the_response_has_ended() -> None:
    owed = owing()
    owed.began("r1", 1.1)
    waits = owed.unheard
    owed.sounded("r1", 1.2)
    assert (waits, owed.unheard) == (True, False)
    assert owed.heard("r1", active=True, now=1.3)
    assert state(owed) is State.HEARD
    owed.ended("r1")
    assert owed.due_at is None
    assert not owed.heard("r1", active=False, now=1.4), "once"


def test_it_is_paid_at_once_when_the_response_ended_before() -> None:
    owed = owing()
    owed.began("r1", 1.1)
    owed.sounded("r1", 1.2)
    owed.ended("r1")
    assert state(owed) is State.SOUNDING
    assert owed.heard("r1", active=False, now=1.3)
    assert state(owed) is None


def test_sound_of_another_response_pays_nothing() -> None:
    owed = owing()
    owed.began("r1", 1.1)
    assert not owed.heard("r0", active=False, now=1.2)
    assert not owed.heard("", active=False, now=1.2), "of another relay"
    assert state(owed) is State.WORKING


def test_a_failure_is_asked_again_once_then_comes_the_fallback_then_people() -> None:
    owed = owing(asked=False)
    steps = []
    for number in range(3):
        missed = fails(owed, f"r{number}", 2.0 + number)
        assert missed is not None
        assert not missed.stuck, "the service does what it is asked"
        steps.append(missed.step)
    assert steps == [DebtStep.AGAIN, DebtStep.FALLBACK, DebtStep.GIVEN_UP]
    assert state(owed) is None
    assert owed.tick(1000.0) is None


@pytest.mark.parametrize(
    ("at", "due_at", "why"),
    [
        (State.AWAITED, 1.0 + 5.0, "the request was not answered"),
        (State.WORKING, 1.0 + 60.0, "no audio in time"),
        (State.SOUNDING, 1.2 + 60.0, "the audio was never played"),
        (State.HEARD, 1.3 + 60.0, "the response stalled"),
    ],
)
def test_each_state_has_its_limit(at: State, due_at: float, why: str) -> None:
    owed = owing()
    if at is not State.AWAITED:
        owed.began("r1", 1.1)
    if at in (State.SOUNDING, State.HEARD):
        owed.sounded("r1", 1.2)
    if at is State.HEARD:
        owed.heard("r1", active=True, now=1.3)
    assert owed.due_at == pytest.approx(due_at)
    assert owed.tick(due_at - 0.01) is None
    missed = owed.tick(due_at)
    assert missed is not None
    assert (missed.why, missed.step, missed.stuck, missed.move) == (why, DebtStep.AGAIN, True, True)


def test_a_second_voice_session_is_taken_once_for_a_debt() -> None:
    owed = owing()
    first = owed.tick(6.0)
    assert first is not None
    assert first.move
    assert owed.lost("", 6.1) is None, "the step was taken already"
    owed.asked(7.0)
    second = owed.tick(12.0)
    assert second is not None
    assert (second.step, second.stuck, second.move) == (DebtStep.FALLBACK, True, False)


def test_the_fallback_has_less_time() -> None:
    owed = owing(asked=False)
    fails(owed, "r1", 2.0)
    fails(owed, "r2", 3.0)
    owed.asked(4.0)
    assert owed.due_at == 14.0
    owed.began("r3", 5.0)
    assert owed.due_at == 14.0


def test_fallbacks_in_a_row_end_in_people() -> None:
    owed = OwedSpeech(LIMITS)
    for _ in range(MOST_FALLBACKS):
        owed.owe(DebtKind.WORDS, 1.0)
        fails(owed, "r1", 1.0)
        fails(owed, "r2", 1.0)
        assert step(owed) is DebtStep.FALLBACK
        owed.asked(1.0)
        owed.began("r3", 1.0)
        owed.sounded("r3", 1.0)
        owed.heard("r3", active=False, now=1.0)
    owed.owe(DebtKind.WORDS, 2.0)
    fails(owed, "r4", 2.0)
    missed = fails(owed, "r5", 2.0)
    assert missed is not None
    assert missed.step is DebtStep.GIVEN_UP
    owed.owe(DebtKind.WORDS, 3.0)
    owed.asked(3.0)
    owed.began("r6", 3.0)
    owed.heard("r6", active=False, now=3.0)
    owed.owe(DebtKind.WORDS, 4.0)
    fails(owed, "r7", 4.0)
    fails(owed, "r8", 4.0)
    assert step(owed) is DebtStep.FALLBACK, "an answer resets the count"


# -- quotas
def test_a_quota_is_waited_out_as_long_as_it_says_without_a_step() -> None:
    owed = owing()
    owed.began("r1", 1.1)
    missed = owed.failed("r1", "rate_limit_exceeded", 2.0, wait_s=3.5)
    assert missed is not None
    assert (missed.step, missed.wait_s, missed.move) == (DebtStep.FIRST, 3.5, False)
    assert owed.due_at == 5.5
    assert owed.tick(5.5) is None
    assert state(owed) is State.OPEN


def test_a_quota_of_unknown_length_is_tried_less_and_less_often() -> None:
    owed = owing()
    waits = []
    for _ in range(6):
        missed = owed.failed("", "rate_limit_exceeded", 2.0, wait_s=0.0)
        assert missed is not None
        waits.append(missed.wait_s)
    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_a_quota_that_lasts_ends_in_one_fallback_and_then_people() -> None:
    owed = owing()
    missed = owed.failed("", "rate_limit_exceeded", 2.0, wait_s=120.0)
    assert missed is not None
    assert (missed.step, missed.wait_s) == (DebtStep.FALLBACK, None)
    owed.asked(2.0)
    missed = owed.failed("", "rate_limit_exceeded", 2.1, wait_s=1.0)
    assert missed is not None
    assert missed.step is DebtStep.GIVEN_UP


def test_no_session_is_opened_because_of_a_quota() -> None:
    owed = owing()
    owed.failed("", "rate_limit_exceeded", 2.0, wait_s=1.0)
    owed.tick(3.0)
    owed.asked(3.0)
    missed = owed.tick(8.0)
    assert missed is not None
    assert (missed.stuck, missed.move) == (True, False)


# -- the caller
def test_what_the_caller_says_next_covers_what_was_owed() -> None:
    owed = owing()
    owed.caller_began()
    assert state(owed) is None
    assert owed.due_at is None, "nothing is due while they speak"
    owed.caller_ended("u1", 3.0, awaited=True)
    owed.suspended.forget()
    assert owed.debt is not None
    assert (owed.debt.kind, state(owed)) == (DebtKind.WORDS, State.AWAITED)


def test_a_noise_owes_nothing() -> None:
    owed = OwedSpeech(LIMITS)
    owed.caller_began()
    owed.caller_ended("u1", 3.0, awaited=True)
    assert owed.no_words("u1", 3.5) is None
    assert state(owed) is None


def test_what_a_noise_cancelled_is_owed_again() -> None:
    owed = owing(DebtKind.GREETING)
    owed.began("r1", 1.1)
    owed.caller_began()
    owed.caller_ended("u1", 3.0, awaited=True)
    missed = owed.no_words("u1", 3.5)
    assert missed is not None
    assert (missed.kind, missed.outcome) == (DebtKind.GREETING, "resumed")
    assert state(owed) is State.OPEN


def test_the_rest_of_an_answer_that_a_noise_cut_off_is_owed() -> None:
    owed = OwedSpeech(LIMITS)
    owed.caller_began()
    owed.suspended.cut_off()
    owed.caller_ended("u1", 3.0, awaited=True)
    missed = owed.no_words("u1", 3.5)
    assert missed is not None
    assert (missed.kind, state(owed)) == (DebtKind.REST, State.OPEN)


def test_a_noise_after_words_leaves_the_words_to_be_answered() -> None:
    owed = OwedSpeech(LIMITS)
    owed.caller_began()
    owed.caller_ended("u1", 2.0, awaited=True)
    owed.caller_began()
    owed.caller_ended("u2", 3.0, awaited=True)
    missed = owed.no_words("u2", 3.5)
    assert missed is not None
    assert owed.debt is not None
    assert (owed.debt.item_id, state(owed)) == ("u1", State.OPEN)


def test_two_noises_owe_nothing() -> None:
    owed = OwedSpeech(LIMITS)
    for item in ("u1", "u2"):
        owed.caller_began()
        owed.caller_ended(item, 2.0, awaited=True)
    assert owed.no_words("u1", 3.0) is None
    assert owed.no_words("u2", 3.0) is None
    assert state(owed) is None


def test_an_answer_to_a_noise_may_be_silent() -> None:
    owed = OwedSpeech(LIMITS)
    owed.caller_began()
    owed.caller_ended("u1", 2.0, awaited=True)
    owed.began("r1", 2.1)
    assert owed.no_words("u1", 2.2) is None
    assert owed.failed("r1", "no audio", 2.3) is None
    assert state(owed) is None


def test_words_that_the_service_does_not_answer_are_asked_for_on_the_same_session() -> None:
    owed = OwedSpeech(LIMITS)
    owed.caller_began()
    owed.caller_ended("u1", 2.0, awaited=True)
    missed = owed.tick(7.0)
    assert missed is not None
    assert (missed.step, missed.stuck) == (DebtStep.AGAIN, False)


def test_where_the_service_does_not_answer_by_itself_we_ask_at_once() -> None:
    owed = OwedSpeech(LIMITS)
    owed.caller_began()
    owed.caller_ended("u1", 2.0, awaited=False)
    assert state(owed) is State.OPEN


def test_keys_while_the_caller_speaks_are_owed_after_a_noise() -> None:
    owed = OwedSpeech(LIMITS)
    owed.caller_began()
    owed.owe(DebtKind.KEYS, 1.5)
    assert state(owed) is None
    owed.caller_ended("u1", 2.0, awaited=True)
    owed.no_words("u1", 2.5)
    assert owed.debt is not None
    assert owed.debt.kind is DebtKind.KEYS


# -- other responses, tools, sessions
def test_a_request_that_met_another_response_waits_for_its_end() -> None:
    owed = owing()
    owed.bounced(1.1, "r_theirs")
    assert state(owed) is State.OPEN
    assert owed.due_at == pytest.approx(61.1), "with a limit"


def test_a_greeting_that_met_the_agent_speaking_is_paid_by_it() -> None:
    owed = owing(DebtKind.GREETING)
    owed.bounced(1.1, "r_theirs")
    assert state(owed) is State.WORKING
    assert owed.heard("r_theirs", active=False, now=1.2)


def test_a_tool_and_what_follows_it_are_one_attempt() -> None:
    owed = owing()
    owed.began("r1", 1.1)
    owed.called_tool("r1", 1.2)
    owed.tool_answered(9.0)
    assert state(owed) is State.OPEN
    owed.asked(9.0)
    owed.began("r2", 9.1)
    assert owed.due_at == pytest.approx(61.0)


def test_a_tool_that_nobody_asked_for_owes_its_result() -> None:
    owed = OwedSpeech(LIMITS)
    owed.called_tool("r1", 1.0)
    owed.tool_answered(2.0)
    assert owed.debt is not None
    assert (owed.debt.kind, state(owed)) == (DebtKind.TOOL_RESULT, State.OPEN)


def test_a_lost_session_is_one_of_the_attempts() -> None:
    owed = owing()
    missed = owed.lost("", 2.0)
    assert missed is not None
    assert missed.step is DebtStep.AGAIN
    owed.asked(3.0)
    missed = owed.lost("", 4.0)
    assert missed is not None
    assert missed.step is DebtStep.FALLBACK


def test_what_was_not_asked_for_yet_loses_no_attempt_with_the_session() -> None:
    owed = owing(asked=False)
    assert owed.lost("", 2.0) is None
    assert step(owed) is DebtStep.FIRST


def test_an_answer_cut_off_by_a_lost_session_is_continued() -> None:
    owed = owing()
    owed.began("r1", 1.1)
    owed.sounded("r1", 1.2)
    owed.heard("r1", active=True, now=1.3)
    missed = owed.lost("r1", 2.0)
    assert missed is not None
    assert (missed.kind, missed.step) == (DebtKind.REST, DebtStep.AGAIN)
    assert OwedSpeech(LIMITS).lost("", 2.0) is None


def test_what_was_generated_but_lost_with_the_media_is_asked_for_again() -> None:
    owed = owing()
    owed.began("r1", 1.1)
    owed.sounded("r1", 1.2)
    owed.ended("r1")
    missed = owed.never_heard("r1", 3.0)
    assert missed is not None
    assert (missed.step, missed.stuck) == (DebtStep.AGAIN, False)


def test_speech_before_it_in_the_queue_gives_it_time() -> None:
    owed = owing()
    owed.began("r1", 1.1)
    owed.sounded("r1", 1.2)
    owed.queued(50.0)
    assert owed.due_at == 110.0
    owed.resumed(70.0)
    assert owed.due_at == 130.0
