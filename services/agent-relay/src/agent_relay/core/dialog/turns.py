"""The turns of a conversation: events of a ready voice session and the media gateway's reports about playout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agent_relay.core.announcements.announcer import Announcer
from agent_relay.core.dialog.agent_speech import AgentSpeech
from agent_relay.core.dialog.agent_turns import AgentTurns
from agent_relay.core.dialog.caller_speech import CallerSpeech
from agent_relay.core.dialog.caller_turns import CallerTurns
from agent_relay.core.dialog.conversation_commands import Command, WallClock, sends
from agent_relay.core.dialog.debt import DebtKind, State
from agent_relay.core.dialog.history import History, left_saying
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.reference_guard import ReferenceGuard, SpokenText
from agent_relay.core.dialog.responses import Purpose
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.tool_turns import ToolTurns
from agent_relay.core.protocol import voice_events as vl
from bridge_common.wire.entries import TranscriptEntry

GRACE_S: Final = 1.5
"""After a take-over from another relay: how long the service may take to answer the caller's speech, which is sent to
it again. Then the relay requests an answer to the text of the speech.
"""


class Turns:
    """The turns of one call. `transcript` and `said`: the transcript of the previous relay, and its progress in the
    announcements. `closing`: a hang-up was requested. `reference`: the call reference, which must not be spoken.
    """

    def __init__(
        self,
        profile: SessionProfile,
        history: History,
        prompts: Prompts,
        clock: WallClock,
        transcript: Sequence[TranscriptEntry] = (),
        *,
        said: str = "",
        resumed: bool = False,
        greeted: bool = False,
        closing: bool = False,
        reference: str = "",
    ) -> None:
        self.media_away = False
        """Whether the media socket is detached. The caller then hears nothing: no response is requested, and time
        limits are suspended.
        """
        self._profile = profile
        self._history = history
        self._clock = clock
        self._guard = ReferenceGuard(reference)
        self._prompts = prompts
        self.responses = prompts.responses
        self._owed = prompts.owed
        self._left_owing: DebtKind | None = None
        if closing:
            pass  # the call ends: only the goodbye is left to say
        elif resumed and history.awaits_answer:
            self._left_owing = DebtKind.WORDS
        elif resumed and greeted and history.empty and profile.greeting is not None:
            self._left_owing = DebtKind.GREETING  # a relay marked the call as greeted and died before it spoke
        self.speech = AgentSpeech(history, clock, truncates=profile.truncates)
        for saying in left_saying(transcript):
            self.speech.adopt(saying)
        self.caller = CallerSpeech(history, clock)
        self.announcements = Announcer(
            profile.say_forms,
            profile.language,
            prompts.responses,
            self.speech,
            clock,
            limits=profile.limits,
            said=said,
            transcript=transcript,
        )
        self.tools = ToolTurns(profile, history, prompts, clock, self.caller, self.speech, self.announcements)
        self.of_caller = CallerTurns(profile, prompts, self.caller, self.speech, self.announcements, self.tools)
        self.of_agent = AgentTurns(
            profile, prompts, clock, self.caller, self.of_caller, self.speech, self.announcements, self.tools
        )

    @property
    def next_at(self) -> float | None:
        times = [self.speech.next_at]
        if self._counts:
            times += [self._owed.due_at, self.caller.over_at, self.of_agent.over_at, self.tools.next_at()]
        return min((at for at in times if at is not None), default=None)

    @property
    def _counts(self) -> bool:
        """Whether time limits count, because the caller could hear the agent now."""
        return self._prompts.ready and not self.media_away

    def tick(self, now: float) -> list[Command]:
        commands = self.speech.tick(now) + self._never_heard(now) + self._cut_off(now)
        if self._counts:
            self.of_caller.tick(now)
            if self.speech.plays:
                self._owed.queued(now)
            commands += self.tools.tick(now) + self.of_agent.tick(now)
            if (missed := self._owed.tick(now)) is not None:
                commands += self._prompts.missed(missed, now)
                if missed.stuck and not missed.move:
                    commands += self.of_agent.cancel_active()
        return commands

    def advance(self, now: float, *, closing: bool = False) -> list[Command]:
        """Request the pending response if the caller can hear it now and does not speak. `closing`: the call is about
        to end.
        """
        commands = self.tools.advance(now, closing=closing or self.media_away)
        return commands if self.caller.speaks or self.media_away else commands + self._prompts.advance(now)

    # -- from the voice session
    def voice_event(self, event: vl.ServerEvent, now: float) -> list[Command]:
        match event:
            case vl.AudioDelta():
                return self.of_agent.delta(event, now)
            case vl.ItemDone():
                self._owed.item_done(event.response_id)
                return self.speech.item_done(event)
            case vl.AgentTextDone():
                self.of_agent.wrote(event.response_id, event.text)
                return []
            case vl.AgentTranscriptDelta() | vl.AgentTranscriptDone():
                return self._agent_text(event, now)
            case vl.SpeechStarted():
                return self.of_caller.started(event, now)
            case vl.SpeechStopped():
                return self.of_caller.stopped(event.item_id, now)
            case vl.UserTranscript() | vl.UserTranscriptFailed():
                return self.of_caller.transcript(event, now)
            case vl.ResponseCreated():
                return self.of_agent.reported(event.response_id, now)
            case vl.ResponseDone():
                return self.of_agent.done(event, now)
            case vl.FunctionCall():
                return self.of_agent.function_call(event, now)
            case vl.McpCall() | vl.McpApproval():
                return self.of_agent.mcp_called(event, now)
            case vl.McpTools() | vl.McpListFailed() | vl.McpCallOver() | vl.McpCallDone():
                return self.tools.mcp_reported(event, now)
            case vl.Truncated():
                self.speech.truncations.accepted(event.item_id)
                return []
            case vl.ErrorEvent():
                if (instead := self.speech.truncations.refused(event)) is not None:
                    return sends(instead)
                commands = self._prompts.refused(event, now) + self.announcements.refused(event, now)
                self.tools.interim.refused(event)
                return commands
            case _:
                return []

    def _agent_text(self, event: SpokenText, now: float) -> list[Command]:
        checked = self._guard.check(event)
        if isinstance(event, vl.AgentTranscriptDone):
            self.of_agent.wrote(event.response_id, checked.event.text)
        commands = self.speech.text(checked.event, now)
        if checked.found:
            commands.append(self._clock.notice("call_reference_spoken", "response withdrawn", now))
            commands += self._prompts.to_session([self._guard.reminder()])
            commands += self.of_agent.withdraw(event.response_id, "it contained the call reference", now)
        return commands

    def session_lost(self, now: float) -> list[Command]:
        commands = self.speech.session_lost()
        self.announcements.session_lost()
        commands += self.of_caller.session_lost(now)
        self.of_agent.session_lost()
        self.tools.session_lost(now)
        return commands + self._prompts.session_lost(now)

    def agent_left(self, now: float) -> list[Command]:
        """Handle that the agent has ended the call: nothing is owed to the caller any more."""
        self._prompts.responses.forget()
        self._owed.taken_back()
        return self.session_lost(now)

    def agent_rests(self, now: float) -> list[Command]:
        """Stop the agent, because the caller waits for a person or talks with one: nothing is owed to the caller any
        more. Announcements continue.
        """
        commands = self.of_caller.confirm_words(now)
        if not self.responses.hold(Purpose.SAY):
            commands += self.speech.interrupt(self.responses.active) + self.of_agent.cancel_active()
        self.caller.session_lost()
        self.caller.take_unanswered()
        self.tools.drop_answer()
        self._owed.dropped()
        return commands

    def session_ready(self, now: float) -> None:
        """Prepare the pending response for a ready voice session, after a lost session or after another relay."""
        if self._left_owing is not None:
            # The relay may send the caller's latest speech to the service again, which then answers it by itself.
            self._owed.owe(self._left_owing, now, awaited=True, start_s=GRACE_S)
            self._left_owing = None
        debt = self._owed.debt
        unanswered = self.caller.take_unanswered()
        lost_words = debt is not None and debt.kind is DebtKind.WORDS and debt.item_id == unanswered != ""
        if lost_words and self._profile.replays and not self._history.text_of(unanswered):
            self._owed.fall_back(now)  # the caller's words are lost
        self._owed.ready(now)

    # -- from the media gateway
    def playing(self, item_id: str, now: float) -> list[Command]:
        self.speech.playing(item_id, now)
        self._heard(item_id, now)
        return []

    def played(self, item_id: str, heard_ms: int, now: float, *, complete: bool) -> list[Command]:
        if heard_ms:
            self._heard(item_id, now)
        commands = self.speech.played(item_id, heard_ms, complete=complete) + self._never_heard(now)
        # An item that was not played to its end was stopped on purpose, or its media socket was replaced (below).
        return commands + self._cut_off(now) if complete else commands

    def media_attached(self, lost_at: float, now: float) -> list[Command]:
        """Handle a new media socket: audio that the previous one had not played may be lost. `lost_at`: when the
        previous one was last known alive.
        """
        if self.media_away:
            self.media_away = False
            self._owed.resumed(now)
        return self.speech.another_socket(lost_at, now) + self._never_heard(now) + self._cut_off(now)

    def media_detached(self, now: float) -> list[Command]:
        self.media_away = True
        return self.speech.unheard_is_lost(now) + self._never_heard(now) + self._cut_off(now)

    def _heard(self, item_id: str, now: float) -> None:
        response_id = self.speech.response_of(item_id)
        self.announcements.queue.was_heard(response_id)
        self._owed.heard(response_id, active=self._prompts.responses.active == response_id, now=now)

    def _never_heard(self, now: float) -> list[Command]:
        """Request the pending response again if its audio was generated but lost before it was played."""
        debt = self._owed.debt
        if debt is None or debt.state is not State.SOUNDING or self.speech.may_be_unheard(debt.response_id):
            return []
        return self._prompts.missed(self._owed.never_heard(debt.response_id, now), now)

    def _cut_off(self, now: float) -> list[Command]:
        lost = self.speech.take_cut()
        if not lost:
            return []
        cut = self.announcements.repeat(lost)
        debt = self._owed.debt
        if not cut or (debt is not None and debt.response_id not in cut):
            return []
        return self._prompts.missed(self._owed.rest_lost(cut, now), now)
