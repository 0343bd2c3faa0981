"""The goodbye before a hang-up: already spoken, spoken next, requested, interrupted, or never heard."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent_relay.core.dialog.closing import Closing, ClosingLimits, GoodbyeStep

START_S = ClosingLimits().start_s
AFTER_S = ClosingLimits().after_s


def begun(*, interruptible: bool = True, said: bool = False, expected: bool = True) -> Closing:
    closing = Closing()
    assert closing.begin("a", 0.0, interruptible=interruptible, said=said, expected=expected)
    return closing


def test_a_goodbye_in_the_same_response_is_heard_to_its_end() -> None:
    closing = begun(said=True)
    assert closing.advance(1.0, quiet=False) is None
    assert closing.advance(9.0, quiet=True) is None
    assert closing.advance(9.0 + AFTER_S, quiet=True) == (GoodbyeStep.HEARD, "a")
    assert not closing.active
    assert closing.advance(10.0, quiet=True) is None


def test_a_goodbye_in_the_next_response() -> None:
    closing = begun()
    assert closing.advance(1.0, quiet=True) is None
    assert closing.next_at() == START_S
    closing.sound()
    assert closing.next_at() is None
    assert closing.advance(START_S + 1, quiet=False) is None
    assert closing.advance(START_S + 2, quiet=True) is None
    assert closing.advance(START_S + 2 + AFTER_S, quiet=True) == (GoodbyeStep.HEARD, "a")


def test_an_agent_that_says_nothing_is_replaced_by_the_profile_s_goodbye() -> None:
    closing = begun()
    assert closing.advance(START_S, quiet=True) == (GoodbyeStep.ASK, "a")
    assert closing.advance(START_S + 0.1, quiet=True) is None
    closing.sound()
    assert closing.advance(START_S + 3, quiet=True) is None
    assert closing.advance(START_S + 3 + AFTER_S, quiet=True) == (GoodbyeStep.HEARD, "a")


def test_nothing_is_heard_at_all() -> None:
    closing = begun()
    closing.advance(START_S, quiet=True)
    assert closing.advance(2 * START_S, quiet=True) == (GoodbyeStep.FAILED, "a")


def test_a_hang_up_of_an_operator_asks_at_once() -> None:
    closing = begun(interruptible=False, expected=False)
    assert closing.advance(0.0, quiet=True, caller_speaks=True) == (GoodbyeStep.ASK, "a")


def test_the_caller_interrupts() -> None:
    closing = begun(said=True)
    assert closing.advance(1.0, quiet=False, caller_speaks=True) == (GoodbyeStep.INTERRUPTED, "a")
    closing = begun(said=True, interruptible=False)
    assert closing.advance(1.0, quiet=False, caller_speaks=True) is None


def test_speech_that_follows_the_goodbye_is_heard_as_well() -> None:
    closing = begun(said=True)
    assert closing.advance(1.0, quiet=True) is None
    assert closing.next_at() == 1.0 + AFTER_S
    assert closing.advance(1.1, quiet=False) is None
    assert closing.next_at() is None
    assert closing.advance(3.0, quiet=True) is None
    assert closing.advance(3.0 + AFTER_S, quiet=True) == (GoodbyeStep.HEARD, "a")


def test_one_hang_up_is_followed_once() -> None:
    closing = begun(said=True)
    assert not closing.begin("b", 1.0, interruptible=True, said=True, expected=True)
    closing.advance(1.0, quiet=True)
    closing.advance(1.0 + AFTER_S, quiet=True)
    assert not closing.begin("a", 2.0, interruptible=True, said=True, expected=True)
    assert closing.begin("b", 2.0, interruptible=True, said=True, expected=True)


@given(
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(st.floats(0.0, 3.0), st.booleans(), st.booleans(), st.booleans()), max_size=30),
)
def test_every_goodbye_ends_once_and_asks_at_most_once(
    interruptible: bool, said: bool, expected: bool, events: list[tuple[float, bool, bool, bool]]
) -> None:
    closing, now, steps = begun(interruptible=interruptible, said=said, expected=expected), 0.0, list[GoodbyeStep]()
    for after, quiet, speaks, sound in events:
        now += after
        if sound:
            closing.sound()
        step = closing.advance(now, quiet=quiet, caller_speaks=speaks)
        steps += [step[0]] if step else []
    asks = [step for step in steps if step in (GoodbyeStep.ASK, GoodbyeStep.INTERRUPT)]
    assert len(asks) <= 1
    assert len(steps) - len(asks) <= 1
    step = closing.advance(now + 100, quiet=True) or closing.advance(now + 200, quiet=True)
    closing.advance(now + 300, quiet=True)
    assert not closing.active


def test_dropped_words_have_no_outcome() -> None:
    closing = Closing()
    closing.begin("act_1", 10.0, interruptible=True, said=True, expected=True)
    closing.drop()
    assert not closing.active
    assert closing.advance(20.0, quiet=True) is None
    assert closing.outcome_of("act_1") is None
    assert closing.begin("act_1", 21.0, interruptible=True, said=True, expected=True)
