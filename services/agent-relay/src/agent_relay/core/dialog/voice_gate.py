"""Withholds events of a voice session that must have no effect on the call: a greeting that the service begins by
itself at the wrong time, and its responses and transcripts while the agent rests.
"""

from __future__ import annotations

from agent_relay.core.dialog.agent_turns import AgentTurns
from agent_relay.core.dialog.conversation_commands import Command
from agent_relay.core.dialog.own_greeting import OwnGreeting
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.transfer_talk import TransferTalk
from agent_relay.core.protocol.voice_events import ServerEvent


class VoiceGate:
    def __init__(
        self, own_greeting: OwnGreeting, transfer: TransferTalk, of_agent: AgentTurns, prompts: Prompts
    ) -> None:
        self._own_greeting = own_greeting
        self._transfer = transfer
        self._of_agent = of_agent
        self._prompts = prompts

    def take(self, event: ServerEvent, now: float) -> tuple[list[Command], bool]:
        """Return the commands that precede the effect of the event, and whether it has an effect."""
        if not self._own_greeting.watches and not self._transfer.rests:
            return [], True  # nearly always
        if self._own_greeting.holds(event):
            return [], False
        if unwanted := self._own_greeting.unwanted(event, wanted=self._prompts.awaits_greeting):
            return self._of_agent.unwanted(unwanted), True
        if not self._transfer.rests:
            return [], True
        filtered = self._transfer.filtered(event, now)
        return (self._transfer.canceled(event), True) if filtered is None else (filtered, False)
