from __future__ import annotations

import pytest

from agent_relay.core.dialog.screening import START_S, Screening, ScreeningStep
from agent_relay.core.protocol.transfer_profile import Confirmation

WORDS = Confirmation(words=("yes", "take it"), wait_s=10)


def asked(confirm: Confirmation | None = WORDS, *, heard: bool = True) -> Screening:
    """A screening whose introduction has ended at 100.0."""
    screening = Screening("act_1", confirm, 90.0, speaks=True)
    assert screening.advance(90.0, quiet=True) is ScreeningStep.SPEAK
    if heard:
        screening.sound()
        assert screening.advance(99.7, quiet=True) is None
    return screening


def test_without_words_and_confirmation_it_is_over_at_once() -> None:
    assert Screening("act_1", None, 5.0, speaks=False).advance(5.0, quiet=False) is ScreeningStep.CONFIRMED


def test_the_introduction_must_have_been_heard() -> None:
    screening = asked(None)
    assert screening.advance(100.0, quiet=True) is ScreeningStep.CONFIRMED
    assert screening.advance(101.0, quiet=True) is None
    assert screening.next_at() is None


def test_an_introduction_that_does_not_begin_is_given_up() -> None:
    screening = asked(None, heard=False)
    assert screening.next_at() == 90.0 + START_S
    assert screening.advance(90.0 + START_S - 0.1, quiet=True) is None
    assert screening.advance(90.0 + START_S, quiet=True) is ScreeningStep.CONFIRMED


def test_a_long_introduction_is_not_given_up() -> None:
    screening = Screening("act_1", None, 90.0, speaks=True)
    screening.advance(90.0, quiet=False)
    screening.sound()
    assert screening.advance(150.0, quiet=False) is None


def test_the_question_is_repeated_once_then_the_call_is_not_taken() -> None:
    screening = asked()
    assert screening.advance(100.0, quiet=True) is None
    assert screening.next_at() == 105.0
    assert screening.advance(105.0, quiet=True) is ScreeningStep.ASK_AGAIN
    assert screening.advance(105.1, quiet=True) is None
    assert screening.next_at() == 110.0
    assert screening.advance(110.0, quiet=True) is ScreeningStep.UNCONFIRMED
    screening.words("yes")
    assert screening.advance(111.0, quiet=True) is None


@pytest.mark.parametrize(
    ("spoken", "taken"),
    [
        ("Yes.", True),
        ("Well, YES, of course", True),
        ("I take it", True),
        ("yesterday", False),
        ("eyes", False),
        ("", False),
    ],
)
def test_a_word_counts_as_a_whole(spoken: str, taken: bool) -> None:
    screening = asked()
    screening.advance(100.0, quiet=True)
    screening.words(spoken)
    assert (screening.advance(101.0, quiet=True) is ScreeningStep.CONFIRMED) is taken


@pytest.mark.parametrize(("tone", "taken"), [("1", True), ("2", False), ("", False)])
def test_a_key_counts_before_the_end_of_the_question(tone: str, taken: bool) -> None:
    screening = Screening("act_1", Confirmation(key="1"), 90.0, speaks=True)
    screening.key(tone)
    assert (screening.advance(90.0, quiet=True) is ScreeningStep.CONFIRMED) is taken


def test_a_key_or_a_word_that_nobody_asked_for_does_not_count() -> None:
    screening = asked(Confirmation(key="1"))
    screening.words("1")
    assert screening.advance(100.0, quiet=True) is None
    other = asked(WORDS)
    other.key("1")
    assert other.advance(100.0, quiet=True) is None


def test_it_listens_for_words_only_after_the_question() -> None:
    screening = asked()
    listens = [screening.listens]
    screening.advance(100.0, quiet=True)
    listens.append(screening.listens)
    screening.words("yes")
    screening.advance(101.0, quiet=True)
    assert [*listens, screening.listens] == [False, True, False]
    key = asked(Confirmation(key="1"))
    key.advance(100.0, quiet=True)
    assert not key.listens
