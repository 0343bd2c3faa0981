"""Silence of the caller: measured from the end of the playout, with one step after another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent_relay.core.dialog.silence_policy import SilenceLimits, SilencePolicy, SilenceStep

LIMITS = SilenceLimits(8.0, reprompts=2)


def test_silence_leads_to_reprompts_and_then_to_the_goodbye() -> None:
    policy = SilencePolicy(LIMITS)
    assert policy.advance(10.0, quiet=True) is None
    assert policy.next_at() == 18.0
    assert policy.advance(17.9, quiet=True) is None
    assert policy.advance(18.0, quiet=True) is SilenceStep.REPROMPT
    policy.advance(18.1, quiet=False)
    assert policy.next_at() is None
    policy.advance(20.0, quiet=True)
    assert policy.advance(28.0, quiet=True) is SilenceStep.REPROMPT
    assert policy.advance(36.0, quiet=True) is SilenceStep.GOODBYE
    assert policy.next_at() is None
    assert policy.advance(99.0, quiet=True) is None


def test_the_agent_s_own_speech_is_no_silence() -> None:
    policy = SilencePolicy(LIMITS)
    policy.advance(0.0, quiet=True)
    assert policy.advance(30.0, quiet=False) is None
    assert policy.advance(31.0, quiet=True) is None
    assert policy.next_at() == 39.0


def test_a_sign_of_life_begins_the_count_again() -> None:
    policy = SilencePolicy(LIMITS)
    policy.advance(0.0, quiet=True)
    assert policy.advance(8.0, quiet=True) is SilenceStep.REPROMPT
    policy.sign_of_life()
    policy.advance(9.0, quiet=True)
    assert [policy.advance(at, quiet=True) for at in (17.0, 25.0, 33.0)] == [
        SilenceStep.REPROMPT,
        SilenceStep.REPROMPT,
        SilenceStep.GOODBYE,
    ]


def test_a_caller_who_speaks_during_the_goodbye_starts_again() -> None:
    policy = SilencePolicy(SilenceLimits(1.0, reprompts=0))
    policy.advance(0.0, quiet=True)
    assert policy.advance(1.0, quiet=True) is SilenceStep.GOODBYE
    policy.sign_of_life()
    policy.advance(2.0, quiet=True)
    assert policy.advance(3.0, quiet=True) is SilenceStep.GOODBYE


def test_no_policy() -> None:
    policy = SilencePolicy(None)
    assert policy.advance(0.0, quiet=True) is None
    assert policy.next_at() is None
    assert policy.advance(1e9, quiet=True) is None


@given(st.lists(st.tuples(st.floats(0.0, 20.0), st.booleans()), max_size=40))
def test_steps_are_never_closer_than_the_limit(events: list[tuple[float, bool]]) -> None:
    policy, now, last, steps = SilencePolicy(LIMITS), 0.0, -8.0, 0
    for after, quiet in events:
        now += after
        if policy.advance(now, quiet=quiet) is not None:
            assert now - last >= 8.0
            last, steps = now, steps + 1
    assert steps <= 3
