from __future__ import annotations

from agent_relay.core.dialog.greeting import ScriptedSpeech
from agent_relay.core.protocol.agent_profile import Greeting
from agent_relay.core.protocol.voice_events import create_response, create_spoken


def test_fixed_text_is_spoken_as_it_stands_and_then_by_instruction() -> None:
    saying = ScriptedSpeech(Greeting(text="Welcome!"), speaks_fixed_text=True)
    assert saying.attempt() == ([], create_spoken("Welcome!"))
    assert saying.attempt() == ([], create_spoken("Welcome!")), "the same form until it is refused"
    assert saying.refused()
    before, request = saying.attempt()
    assert '"Welcome!"' in str(before)
    assert request == create_response()
    assert not saying.refused()


def test_without_fixed_text_there_is_only_the_instruction() -> None:
    for saying in (
        ScriptedSpeech(Greeting(text="Welcome!"), speaks_fixed_text=False),
        ScriptedSpeech(Greeting(say_how="Ask for the name."), speaks_fixed_text=True),
    ):
        assert len(saying.attempt()[0]) == 1
        assert not saying.refused()


def test_another_session_is_asked_in_the_first_form_again() -> None:
    saying = ScriptedSpeech(Greeting(text="Welcome!"), speaks_fixed_text=True)
    first = saying.attempt()
    saying.refused()
    assert saying.attempt() != first
    saying.restart()
    assert saying.attempt() == first
