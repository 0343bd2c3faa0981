from __future__ import annotations

from agent_relay.core.dialog.debt import Debt, DebtKind
from agent_relay.core.dialog.suspended_debt import SuspendedDebt


def _words(item: str = "u1", response: str = "") -> Debt:
    return Debt(DebtKind.WORDS, 1.0, item, response_id=response)


def test_a_noise_restores_what_was_owed_before() -> None:
    suspended, debt = SuspendedDebt(), Debt(DebtKind.KEYS, 1.0)
    suspended.caller_began(debt)
    speaks = [suspended.caller_speaks]
    suspended.cut_off()
    suspended.caller_ended(None)
    assert [*speaks, suspended.caller_speaks] == [True, False]
    assert suspended.take() == (debt, True)
    assert suspended.take() == (None, False), "once"


def test_words_that_may_be_a_noise_do_not_replace_an_older_debt() -> None:
    suspended, keys = SuspendedDebt(), Debt(DebtKind.KEYS, 1.0)
    suspended.caller_began(keys)
    suspended.caller_ended(_words())
    assert suspended.take()[0] is keys
    suspended.caller_began(keys)
    answered = _words(response="r1")
    suspended.caller_ended(answered)
    assert suspended.take()[0] is answered, "a response to it has begun"


def test_a_debt_of_this_moment_covers_it() -> None:
    suspended, keys = SuspendedDebt(), Debt(DebtKind.KEYS, 2.0)
    suspended.caller_began(_words(response="r1"))
    suspended.replace(keys)
    assert suspended.take()[0] is keys


def test_it_is_paid_by_the_audio_of_its_response() -> None:
    suspended = SuspendedDebt()
    suspended.caller_began(_words(response="r1"))
    suspended.heard("r2")
    suspended.heard("r1")
    assert suspended.take()[0] is None


def test_the_noise_itself_is_owed_no_answer() -> None:
    suspended = SuspendedDebt()
    suspended.caller_began(_words("u1"))
    suspended.no_words("u2")
    suspended.no_words("u1")
    assert suspended.take()[0] is None
    suspended.caller_began(_words("u1", response="r1"))
    suspended.no_words("u1")
    assert suspended.take()[0] is not None, "its response is under way"


def test_the_next_session_pays_it_if_the_caller_was_speaking() -> None:
    suspended, keys, words = SuspendedDebt(), Debt(DebtKind.KEYS, 1.0), _words()
    assert suspended.session_lost(words) is words
    suspended.caller_began(keys)
    assert suspended.session_lost(None) is keys
    assert not suspended.caller_speaks
    assert suspended.take() == (None, False)
