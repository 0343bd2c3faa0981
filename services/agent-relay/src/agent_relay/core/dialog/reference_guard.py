"""Finds the call reference in the agent's text, so that the caller does not hear it. The text of a response arrives
earlier than its audio.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from agent_relay.core.protocol.voice_events import (
    AgentTranscriptDelta,
    AgentTranscriptDone,
    ClientEvent,
    create_message,
)
from bridge_common.wire import call_reference

MASK: Final = "[call reference]"
_REFERENCE: Final = (
    "Call reference: {}. Pass it as the argument `call` of every tool that acts on this phone call. Never say it."
)
SpokenText: TypeAlias = AgentTranscriptDelta | AgentTranscriptDone


def reference_message(reference: str) -> ClientEvent:
    """Return the item that gives the reference to the agent."""
    return create_message("system", _REFERENCE.format(reference))


@dataclass(frozen=True, slots=True)
class Checked:
    event: SpokenText
    """The event without the reference."""
    found: bool = False
    """Whether the reference was found in this response for the first time."""


class ReferenceGuard:
    """`reference`: "" if the call has none."""

    def __init__(self, reference: str) -> None:
        self._given = reference
        self._reference = call_reference.spoken_form(reference)[0]
        self._part = ("", 0)
        """Item and content index of the text that is being received."""
        self._text = ""
        self._found_in = ""

    def reminder(self) -> ClientEvent:
        return reference_message(self._given)

    def check(self, event: SpokenText) -> Checked:
        if not self._reference:
            return Checked(event)
        part = (event.item_id, event.content_index)
        whole = isinstance(event, AgentTranscriptDone)
        self._text = event.text if whole or part != self._part else self._text + event.text
        self._part = part
        masked = self._masked(self._text)
        if masked == self._text:
            return Checked(event)
        found, self._found_in, self._text = self._found_in != event.response_id, event.response_id, masked
        return Checked(AgentTranscriptDone(event.response_id, event.item_id, masked, event.content_index), found)

    def _masked(self, text: str) -> str:
        letters, places = call_reference.spoken_form(text)
        at = letters.find(self._reference)
        if at < 0:
            return text
        end = places[at + len(self._reference) - 1] + 1
        return text[: places[at]] + MASK + self._masked(text[end:])
