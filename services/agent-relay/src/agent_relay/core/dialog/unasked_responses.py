"""Responses that the service begins by itself while the agent must be silent: they are canceled and never heard."""

from __future__ import annotations

from agent_relay.core.dialog.conversation_commands import Command
from agent_relay.core.dialog.responses import UNKNOWN, Purpose
from agent_relay.core.dialog.turns import Turns
from agent_relay.core.protocol.voice_events import AudioDelta, FunctionCall, ResponseCreated, ServerEvent


class UnaskedResponses:
    def __init__(self, turns: Turns) -> None:
        self._of_agent = turns.of_agent
        self._responses = turns.responses
        self._speech = turns.speech

    def canceled(self, event: ServerEvent) -> list[Command]:
        """Cancel the response that begins with this event, unless one was requested."""
        if not isinstance(event, ResponseCreated | AudioDelta | FunctionCall) or self._responses.asking:
            return []
        known = event.response_id in ("", self._responses.active) or self._speech.dropped(event.response_id)
        return [] if known else self._of_agent.unwanted(event.response_id)

    def cancel_active(self) -> list[Command]:
        """Cancel the active response unless it is an announcement. The service may begin a response just before it
        receives a request, whose rejection then shows that the response is not the requested one.
        """
        active = self._responses.active
        if active in ("", UNKNOWN) or self._responses.hold(Purpose.SAY) or self._speech.dropped(active):
            return []
        return self._speech.interrupt(active) + self._of_agent.cancel_active()
