from __future__ import annotations

from agent_relay.core.agent_profile import Greeting
from agent_relay.core.greeting import Saying
from agent_relay.core.voice_live import create_response, create_spoken


def test_fixed_text_is_spoken_as_it_stands_and_then_by_instruction() -> None:
    saying = Saying(Greeting(text="Welcome!"), speaks_fixed_text=True)
    assert saying.attempt() == ([], create_spoken("Welcome!"))
    second = saying.attempt()
    assert second is not None
    before, request = second
    assert '"Welcome!"' in str(before)
    assert request == create_response()
    assert saying.attempt() is None


def test_without_fixed_text_there_is_only_the_instruction() -> None:
    for saying in (
        Saying(Greeting(text="Welcome!"), speaks_fixed_text=False),
        Saying(Greeting(say_how="Ask for the name."), speaks_fixed_text=True),
    ):
        first = saying.attempt()
        assert first is not None
        assert len(first[0]) == 1
        assert saying.attempt() is None


def test_a_form_can_be_repeated_and_all_begun_again() -> None:
    saying = Saying(Greeting(text="Welcome!"), speaks_fixed_text=True)
    first = saying.attempt()
    saying.repeat()
    assert saying.attempt() == first
    saying.attempt()
    saying.restart()
    assert saying.attempt() == first
