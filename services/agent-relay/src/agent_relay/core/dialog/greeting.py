"""How an agent is let greet or apologize: the words as they stand, or an instruction and a bare request."""

from __future__ import annotations

from agent_relay.core.protocol.agent_profile import Greeting
from agent_relay.core.protocol.spoken_text import Form, spoken
from agent_relay.core.protocol.voice_events import ClientEvent, create_message, create_response


class ScriptedSpeech:
    """One thing to say, by the first form that is not refused."""

    def __init__(self, words: Greeting, *, speaks_fixed_text: bool) -> None:
        self._words = words
        self._forms = [Form.SYSTEM_ITEM]
        if words.text is not None and speaks_fixed_text:
            self._forms.insert(0, Form.PRE_GENERATED)
        self._next = 0

    def restart(self) -> None:
        """Another session may accept what the last one refused."""
        self._next = 0

    def refused(self) -> bool:
        """The service refused the current form. Whether another form is left."""
        if self._next + 1 == len(self._forms):
            return False
        self._next += 1
        return True

    def attempt(self) -> tuple[list[ClientEvent], ClientEvent]:
        """Return the events to send first, and the request for the response."""
        form = self._forms[self._next]
        if self._words.text is not None:
            return spoken(form, self._words.text)
        return [create_message("system", _instruction(self._words))], create_response()


def _instruction(words: Greeting) -> str:
    return f"The caller has just been connected and has not spoken yet. Greet them now. {words.say_how}"
