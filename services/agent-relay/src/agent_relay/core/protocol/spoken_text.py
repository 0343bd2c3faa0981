"""The ways to let an agent say a text of ours.

An assistant item followed by a bare request is none of them: the model believes it has spoken already.
"""

from __future__ import annotations

from enum import StrEnum

from agent_relay.core.protocol.voice_events import (
    ClientEvent,
    create_instructed,
    create_message,
    create_response,
    create_spoken,
)
from agent_relay.core.protocol.voice_target import VoiceTarget


class Form(StrEnum):
    PRE_GENERATED = "pre_generated"
    """Spoken word for word without the model, where the api-version has it. Not documented for agents."""
    INSTRUCTIONS = "instructions"
    """A request with instructions of its own: the model is asked to say the words. Refused in agent mode."""
    SYSTEM_ITEM = "system_item"
    """A system item, then a bare request: works everywhere, and stays in the conversation."""


def forms_for(target: VoiceTarget) -> tuple[Form, ...]:
    """What this way to connect is known to take or may take, the most exact first."""
    forms = [Form.PRE_GENERATED] if target.speaks_fixed_text else []
    if not target.way.agent:
        forms.append(Form.INSTRUCTIONS)
    return (*forms, Form.SYSTEM_ITEM)


def spoken(form: Form, text: str) -> tuple[list[ClientEvent], ClientEvent]:
    """Return the events to send first, and the request for the response."""
    match form:
        case Form.PRE_GENERATED:
            return [], create_spoken(text)
        case Form.INSTRUCTIONS:
            return [], create_instructed(exactly(text))
        case Form.SYSTEM_ITEM:
            return [create_message("system", exactly(text))], create_response()


def exactly(text: str) -> str:
    return f'Say exactly this to the caller now, and nothing else: "{text}"'
