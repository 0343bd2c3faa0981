"""The beginning of each voice session of a call: the hold tone ends, and the agent learns what was said before."""

from __future__ import annotations

from agent_relay.core.dialog.conversation_commands import Append, Command, Ready, WallClock, sends
from agent_relay.core.dialog.history import History
from agent_relay.core.dialog.hold_policy import HoldPolicy
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.reference_guard import reference_message
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.voice_session import VoiceSession
from agent_relay.core.protocol.voice_events import SessionUpdated
from bridge_common.wire.entries import Hold


class SessionBeginning:
    """`conversation_id`: of the conversation in the service, "" if it has none yet. `reference`: of the call, for the
    tools of a Foundry agent. `resumed`: another relay drove this call before.
    """

    def __init__(
        self,
        profile: SessionProfile,
        history: History,
        session: VoiceSession,
        prompts: Prompts,
        hold: HoldPolicy,
        clock: WallClock,
        *,
        conversation_id: str,
        reference: str,
        resumed: bool,
    ) -> None:
        self.conversation_id = conversation_id
        self._profile = profile
        self._history = history
        self._session = session
        self._prompts = prompts
        self._hold = hold
        self._clock = clock
        self._reference = reference
        self._first = not resumed

    def conversation_unknown(self) -> None:
        """Handle that the resource of the next session does not know the conversation."""
        self.conversation_id = ""

    def begin(self, event: SessionUpdated, now: float) -> list[Command]:
        """Handle a configured session."""
        expected, reported = self.conversation_id, event.conversation_id
        self.conversation_id = reported or expected
        commands = self._session.configured(now)
        commands.append(Ready(event.session_id, self.conversation_id, event.expires_at_s, functions=event.functions))
        if self._hold.session_back():
            commands.append(Append(Hold(False)))
        unsent = self._prompts.take_unsent()
        if not self._first:
            # If the service does not know the conversation id, it starts a new conversation without an error.
            replayed = self._profile.replays or not expected or reported not in ("", expected)
            commands.append(self._clock.notice("voice_resumed", "replayed" if replayed else "continued", now))
            if replayed:
                unsent = self._history.replay(self._profile.assistant_part)
        commands += sends(unsent)
        if self._reference:
            # A resumed conversation may not contain it any more.
            commands += sends([reference_message(self._reference)])
        self._first = False
        return commands
