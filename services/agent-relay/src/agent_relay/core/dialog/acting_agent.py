"""Actions that the agent requests for its call, by function calls and by agreed phrases (ADR 37, ADR 44)."""

from __future__ import annotations

import json
from typing import Final

from msgspec.structs import replace

from agent_relay.core.dialog.agent_turns import AUDIBLE_MS
from agent_relay.core.dialog.conversation_commands import Command, RequestAction
from agent_relay.core.dialog.instruction_detail import detail_of, text_in
from agent_relay.core.dialog.keypad import KeyReceiver
from agent_relay.core.dialog.manners import Manners
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.responses import Purpose
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.transfer_talk import TransferTalk
from agent_relay.core.dialog.transfer_texts import under_way_text
from agent_relay.core.dialog.turns import Turns
from agent_relay.core.protocol.voice_events import AgentTranscriptDone, FunctionCall, ServerEvent
from bridge_common.wire.action_kinds import AGENT, HANG_UP, TRANSFER
from bridge_common.wire.agent_tools import AGENT_TOOLS
from bridge_common.wire.entries import Dtmf, Instruct
from bridge_common.wire.instructions import Instruction

ENDING: Final = "The call is already being ended."
_TRANSFERS: Final[frozenset[str]] = frozenset(
    {
        *(Instruction.WAITING, Instruction.SCREENING, Instruction.BRIDGED, Instruction.RETURNED),
        *(Instruction.PEOPLE, Instruction.TONE, Instruction.TONES_REFUSED),
    }
)


class ActingAgent:
    def __init__(
        self,
        profile: SessionProfile,
        turns: Turns,
        prompts: Prompts,
        manners: Manners,
        transfers: TransferTalk,
        keypad: KeyReceiver,
    ) -> None:
        self._profile = profile
        self._transfers = transfers
        self._keypad = keypad
        self._phrases = profile.end_phrases
        self._turns = turns
        self._speech = turns.speech
        self._prompts = prompts
        self._manners = manners

    def voice_event(self, event: ServerEvent, now: float) -> list[Command] | None:
        """Handle a function call that must not run, requests an action or needs the caller's keys. Return None for
        other events.
        """
        if not isinstance(event, FunctionCall):
            return None
        if not event.call_id:
            return []  # malformed: the service would not accept an output for it
        if (refused := self._turns.of_agent.refused(event, now)) is not None:
            return refused
        if event.name in self._profile.actions:
            return self._called(event, now)
        return self._keypad.called(event, now) if event.name in self._profile.keypad_tools else None

    def _called(self, event: FunctionCall, now: float) -> list[Command]:
        """Handle a function call that requests an action."""
        tool, action_id = self._profile.transfer.bound(AGENT_TOOLS[event.name]), f"fn_{event.call_id}"
        arguments, fault = tool.read(event.arguments)
        fault = fault or self._transfer_fault(tool.action) or self._manners.action_fault(tool.action, now)
        if fault:
            output, answered = json.dumps({"ok": False, "reason": fault}), self._manners.goodbye_provided
            return self._turns.of_agent.action_called(event, output, now, answered=answered)
        output = json.dumps({"ok": True, "state": "accepted", "say": tool.accepted})
        after_words = tool.action in (HANG_UP, TRANSFER)
        spoke = not self._greets(event.response_id) and self._speech.spoken_ms(event.response_id) >= AUDIBLE_MS
        said = after_words and spoke
        request = RequestAction(action_id, tool.action, arguments, AGENT)
        earlier = self._speech.unplayed() - {event.response_id}
        if after_words and not self._manners.begin_goodbye(request, now, said=said, earlier=earlier):
            return self._turns.of_agent.action_called(event, output, now, answered=self._manners.goodbye_provided)
        answered = said or self._manners.goodbye_provided
        commands = self._turns.of_agent.action_called(event, output, now, answered=answered)
        if not commands:
            return []
        self._manners.held(request)
        # First the request: the next relay assumes that the action of a recorded function call was requested.
        return [request, *self._connecting(request, now), *commands]

    def _transfer_fault(self, action: str) -> str:
        """Return why a transfer cannot be requested now."""
        if action != TRANSFER:
            return ""
        if self._manners.connecting is not None or self._transfers.rests:
            return under_way_text(self._transfers.target)
        return ENDING if self._manners.closing else ""

    def _connecting(self, request: RequestAction, now: float) -> list[Command]:
        if request.action != TRANSFER:
            return []
        detail = detail_of(request.arguments)
        return self._transfers.connecting(request.action_id, text_in(detail, "target"), text_in(detail, "topic"), now)

    def heard(self, item_id: str) -> None:
        """Handle that the caller begins to hear an item."""
        response_id = self._speech.response_of(item_id)
        # Neither the recording that asks the caller to wait nor the greeting is a goodbye.
        if response_id not in ("", self._prompts.owed.greeting_id):
            self._manners.agent_heard(response_id)
            self._transfers.agent_heard()

    def said(self, event: AgentTranscriptDone, now: float) -> list[Command]:
        """Request the hang-up if the agent has said a phrase that ends the call, in words of its own."""
        response_id, text = event.response_id, event.text.lower()
        if self._transfers.rests:
            return []
        if not any(phrase in text for phrase in self._phrases) or self._greets(response_id):
            return []
        if self._prompts.responses.is_active_for(Purpose.SAY, response_id):
            return []
        request = RequestAction(f"phrase_{response_id}", HANG_UP, '{"reason":"end_phrase"}', AGENT)
        return [request] if self._manners.begin_goodbye(request, now, said=True) else []

    def _greets(self, response_id: str) -> bool:
        owed, responses = self._prompts.owed, self._prompts.responses
        return response_id == owed.greeting_id != "" or responses.is_active_for(Purpose.GREETING, response_id)

    def pressed(self, entry: Dtmf, now: float) -> list[Command]:
        """Handle a key press, of the caller or of another person."""
        if (taken := self._transfers.pressed(entry, now)) is not None:
            return taken
        if self._profile.dtmf.mode == "ignore":
            self._manners.sign_of_life()
            return []
        self._manners.key_pressed()
        commands = [] if self._manners.hang_up_is_final else self._turns.of_caller.key_pressed(now)
        return commands + self._keypad.press(entry.tone, now)

    def returned(self, call_id: str, output: str, now: float) -> list[Command]:
        """Handle the result of a function, which the agent does not report after the goodbye."""
        self._manners.sign_of_life()
        return self._turns.tools.returned(call_id, output, now, last=self._manners.goodbye_provided)

    def instruct(self, entry: Instruct, now: float) -> list[Command]:
        """Handle an instruction of call-control: a request or a message for the agent."""
        if entry.what in _TRANSFERS:
            self._manners.moved_on(entry.instruction_id)
            if entry.what == Instruction.PEOPLE:
                self._manners.people_changed(detail_of(entry.detail))
            return self._transfers.instruct(entry, now)
        if entry.what == Instruction.OUTCOME and self._transfers.failed(entry):
            self._manners.moved_on(entry.instruction_id)
            return self._transfers.instruct(replace(entry, what=Instruction.RETURNED), now)
        greets = self._speech.may_be_unheard(self._prompts.owed.greeting_id)
        commands = self._transfers.call_ends(now) if entry.what == Instruction.GOODBYE else []
        commands += self._manners.instruct(entry, now, speaks=not self._speech.quiet and not greets)
        if entry.what == Instruction.CONNECTING:
            detail = detail_of(entry.detail)
            name, topic = text_in(detail, "name"), text_in(detail, "topic")
            commands += self._transfers.connecting(entry.instruction_id, name, topic, now)
        return commands
