"""Requests that make the agent speak a given text.

An assistant item followed by a `response.create` without fields does not work: the model assumes that it has spoken the
text.
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
    """The text is spoken verbatim, without the model. Needs a recent api-version; undocumented in agent mode."""
    INSTRUCTIONS = "instructions"
    """A response with its own instructions, which ask the model for the words. Rejected in agent mode."""
    SYSTEM_ITEM = "system_item"
    """A system item, then a `response.create` without fields. Works everywhere, but the item stays in the
    conversation.
    """


def forms_for(target: VoiceTarget) -> tuple[Form, ...]:
    """Return the forms that this target may accept, the most exact first."""
    forms = [Form.PRE_GENERATED] if target.speaks_fixed_text else []
    if not target.spec.agent:
        forms.append(Form.INSTRUCTIONS)
    return (*forms, Form.SYSTEM_ITEM)


def spoken(form: Form, text: str) -> tuple[list[ClientEvent], ClientEvent]:
    """Return the events to send first, and the `response.create`."""
    match form:
        case Form.PRE_GENERATED:
            return [], create_spoken(text)
        case Form.INSTRUCTIONS:
            return [], create_instructed(exactly(text))
        case Form.SYSTEM_ITEM:
            return [create_message("system", exactly(text))], create_response()


def exactly(text: str) -> str:
    return f'Say exactly this to the caller now, and nothing else: "{text}"'
