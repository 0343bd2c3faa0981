"""Actions that the agent requests for its call, by function calls and by agreed phrases (ADR 37)."""

from __future__ import annotations

import json

from agent_relay.core.dialog.agent_turns import AUDIBLE_MS
from agent_relay.core.dialog.conversation_commands import Command, RequestAction
from agent_relay.core.dialog.manners import Manners
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.responses import Purpose
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.turns import Turns
from agent_relay.core.protocol.voice_events import AgentTranscriptDone, FunctionCall
from bridge_common.wire.action_kinds import AGENT, HANG_UP
from bridge_common.wire.agent_tools import AGENT_TOOLS
from bridge_common.wire.entries import Instruct


class ActingAgent:
    def __init__(self, profile: SessionProfile, turns: Turns, prompts: Prompts, manners: Manners) -> None:
        self._phrases = profile.end_phrases
        self._turns = turns
        self._speech = turns.speech
        self._prompts = prompts
        self._manners = manners

    def called(self, event: FunctionCall, now: float) -> list[Command]:
        """Handle a function call that requests an action."""
        tool, action_id = AGENT_TOOLS[event.name], f"fn_{event.call_id}"
        arguments, fault = tool.read(event.arguments)
        fault = fault or self._manners.action_fault(tool.action, now)
        if fault:
            return self._turns.of_agent.action_called(event, json.dumps({"ok": False, "reason": fault}), now)
        output = json.dumps({"ok": True, "state": "accepted", "say": tool.accepted})
        ends = tool.action == HANG_UP
        said = ends and not self._greets(event.response_id) and self._speech.spoken_ms(event.response_id) >= AUDIBLE_MS
        request = RequestAction(action_id, tool.action, arguments, AGENT)
        if ends and not self._manners.begin_goodbye(request, now, said=said):
            return self._turns.of_agent.action_called(event, output, now, answered=self._manners.goodbye_provided)
        answered = said or self._manners.goodbye_provided
        commands = self._turns.of_agent.action_called(event, output, now, answered=answered)
        if not commands:
            return []
        # First the request: the next relay assumes that the action of a recorded function call was requested.
        return [request, *commands]

    def said(self, event: AgentTranscriptDone, now: float) -> list[Command]:
        """Request the hang-up if the agent has said a phrase that ends the call, in words of its own."""
        response_id, text = event.response_id, event.text.lower()
        if not any(phrase in text for phrase in self._phrases) or self._greets(response_id):
            return []
        if self._prompts.responses.is_active_for(Purpose.SAY, response_id):
            return []
        request = RequestAction(f"phrase_{response_id}", HANG_UP, '{"reason":"end_phrase"}', AGENT)
        return [request] if self._manners.begin_goodbye(request, now, said=True) else []

    def _greets(self, response_id: str) -> bool:
        owed, responses = self._prompts.owed, self._prompts.responses
        return response_id == owed.greeting_id != "" or responses.is_active_for(Purpose.GREETING, response_id)

    def returned(self, call_id: str, output: str, now: float) -> list[Command]:
        """Handle the result of a function, which the agent does not report after the goodbye."""
        self._manners.sign_of_life()
        return self._turns.tools.returned(call_id, output, now, last=self._manners.goodbye_provided)

    def instruct(self, entry: Instruct, now: float) -> list[Command]:
        """Handle an instruction of call-control: a request or a message for the agent."""
        greets = self._speech.may_be_unheard(self._prompts.owed.greeting_id)
        return self._manners.instruct(entry, now, speaks=not self._speech.quiet and not greets)
