"""The two ways to let an agent say something of ours: the words as they stand, or an instruction and a bare request.

An assistant item followed by a bare request does not work: the model believes it has spoken already.
"""

from __future__ import annotations

from enum import Enum, auto

from agent_relay.core.agent_profile import Greeting
from agent_relay.core.voice_live import ClientEvent, create_message, create_response, create_spoken


class Form(Enum):
    PRE_GENERATED = auto()
    """Spoken without the model, where the api-version has it. Not documented for agents."""
    INSTRUCTED = auto()
    """A system item, then a bare request: works everywhere."""


class Saying:
    """One thing to say, by one form after the other until one is accepted."""

    def __init__(self, words: Greeting, *, speaks_fixed_text: bool) -> None:
        self._words = words
        self._forms = [Form.INSTRUCTED]
        if words.text is not None and speaks_fixed_text:
            self._forms.insert(0, Form.PRE_GENERATED)
        self._next = 0

    def restart(self) -> None:
        self._next = 0

    def repeat(self) -> None:
        """The form tried last was accepted, only its response failed."""
        self._next = max(self._next - 1, 0)

    def attempt(self) -> tuple[list[ClientEvent], ClientEvent] | None:
        """What to send before the request, and the request; None when no form is left."""
        if self._next >= len(self._forms):
            return None
        form = self._forms[self._next]
        self._next += 1
        if form is Form.PRE_GENERATED and self._words.text is not None:
            return [], create_spoken(self._words.text)
        return [create_message("system", _instruction(self._words))], create_response()


def _instruction(words: Greeting) -> str:
    if words.text is not None:
        return f'Say exactly this to the caller now, and nothing else: "{words.text}"'
    return f"The caller has just been connected and has not spoken yet. Greet them now. {words.say_how}"
