"""The conversation of one call, across all its voice sessions.

Its methods take events and `now` (monotonic seconds) and return commands. The conversation outlives its voice sessions
(`voice_session`): the next session resumes it by its id or receives the history, and does not greet again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from agent_relay.core.announcements.announcer import NO_ENTRY
from agent_relay.core.dialog.acting_agent import ActingAgent
from agent_relay.core.dialog.audience import UNKNOWN_PARTIES, CallParties
from agent_relay.core.dialog.conversation_commands import Command, WallClock
from agent_relay.core.dialog.floor import Floor
from agent_relay.core.dialog.history import History
from agent_relay.core.dialog.hold_policy import HoldPolicy
from agent_relay.core.dialog.manners import Manners, PendingGoodbye
from agent_relay.core.dialog.masked_keypad import key_receiver
from agent_relay.core.dialog.own_greeting import OwnGreeting
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.session_beginning import SessionBeginning
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.transfer_course import TransferState
from agent_relay.core.dialog.transfer_talk import TransferTalk
from agent_relay.core.dialog.turns import Turns
from agent_relay.core.dialog.voice_gate import VoiceGate
from agent_relay.core.dialog.voice_session import Phase, VoiceSession
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.session_setup import SessionSetup
from bridge_common.wire.entries import (
    Dtmf,
    Instruct,
    MediaAttached,
    MediaDetached,
    Played,
    Playing,
    Say,
    TranscriptEntry,
)

FromCaller: TypeAlias = Dtmf | Playing | Played | MediaAttached | MediaDetached


class Conversation:
    """Decides what the relay does after each event of one call.

    `unix_offset_s`: Unix time minus `now`. `resumed`: another relay drove this call before and recorded `transcript`
    and `said`, its progress in the announcements. It may still speak until `left_alone`. `reference`: identifies the
    call to the tools of a Foundry agent; "" if it has none.
    """

    def __init__(
        self,
        profile: SessionProfile,
        history: History,
        *,
        greeted: bool = False,
        resumed: bool = False,
        media_attached: bool = False,
        conversation_id: str = "",
        transcript: Sequence[TranscriptEntry] = (),
        unix_offset_s: float = 0.0,
        said: str = "",
        pending: PendingGoodbye | None = None,
        transfer: TransferState | None = None,
        parties: CallParties = UNKNOWN_PARTIES,
        reference: str = "",
    ) -> None:
        self.profile = profile
        self.reference = reference
        self._clock = WallClock(unix_offset_s)
        setup = SessionSetup(profile.session, profile.essential_session, defined=profile.defined)
        self._session = VoiceSession(setup, self._clock)
        self._own_greeting = OwnGreeting(possible=profile.defined, expected=profile.greets_itself)
        self._prompts = Prompts(profile, self._clock, self._session)
        self._turns = Turns(
            profile,
            history,
            self._prompts,
            self._clock,
            transcript,
            said=said,
            resumed=resumed,
            greeted=greeted,
            closing=pending is not None,
            reference=reference,
        )
        self._speech = self._turns.speech
        self._caller = self._turns.caller
        self._announcements = self._turns.announcements
        self.keypad = key_receiver(profile, history, self._prompts, self._clock, self._turns, resumed=resumed)
        self._manners = Manners(
            profile.manners,
            self._say_phrase,
            self._clock,
            self._prompts,
            self._announcements,
            pending,
            on_hold=parties.caller_on_hold,
        )
        # The previous relay may have left the hold tone on.
        self._hold = HoldPolicy(
            profile.greeting_delay_s,
            profile.limits.hold_after_s,
            media_attached=media_attached,
            maybe_holding=resumed,
        )
        self._beginning = SessionBeginning(
            profile,
            history,
            self._session,
            self._prompts,
            self._hold,
            self._clock,
            conversation_id=conversation_id,
            reference=reference,
            resumed=resumed,
        )
        self.transfers = TransferTalk(
            profile.transfer,
            parties,
            self._turns,
            self._prompts,
            self.keypad,
            self._hold,
            history,
            self._clock,
            self._say_phrase,
            transfer,
            alone=not resumed,
        )
        self._acting = ActingAgent(profile, self._turns, self._prompts, self._manners, self.transfers, self.keypad)
        self._gate = VoiceGate(self._own_greeting, self.transfers, self._turns.of_agent, self._prompts)
        needs_none = profile.greeting is None and not profile.greets_itself
        self._floor = Floor(self._hold, self._session, self._turns, greeted=greeted or needs_none)

    # -- state for the caller of this class
    @property
    def phase(self) -> Phase:
        return self._session.phase

    @property
    def ready(self) -> bool:
        return self._session.ready

    @property
    def conversation_id(self) -> str:
        """Id of the conversation in the service, "" if it has none yet."""
        return self._beginning.conversation_id

    @property
    def refusal(self) -> str:
        """Code and message of the latest error while the voice session is being opened, "" if there was none."""
        return self._session.refusal

    @property
    def greeted(self) -> bool:
        return self._floor.greeted

    @property
    def said(self) -> str:
        return self._announcements.queue.said

    @property
    def caller_speaks(self) -> bool:
        return self._caller.speaks

    @property
    def caller_waits(self) -> bool:
        return self._caller.waits

    @property
    def quiet(self) -> bool:
        """Whether neither side speaks or is about to speak: a good moment to hand the call over."""
        nobody_waits = not (self._caller.waits or self._prompts.owed.unheard or self._turns.tools.result_pending)
        nobody_speaks = self._speech.quiet and self._prompts.responses.idle and nobody_waits
        return nobody_speaks and self.keypad.idle and self._announcements.quiet

    @property
    def withholds_audio(self) -> bool:
        """Whether caller audio must not reach the voice session now: it could interrupt the greeting, or the caller
        talks with somebody else.
        """
        return self._turns.of_caller.protects_greeting or self.transfers.withholds_audio

    def left_alone(self, now: float) -> None:
        """Handle that no other relay speaks in the call. Without a voice session the caller then hears nothing."""
        self.transfers.left_alone(now)
        if not self._session.ready:
            self._hold.session_lost(now)

    # -- the voice session
    def accepts(self, setup: SessionSetup) -> bool:
        """Return whether a session that was configured in advance can serve this call. A session that resumes a
        conversation by id must be opened with that id.
        """
        return (self.profile.replays or not self.conversation_id) and setup.is_for(self.profile.session)

    def connected(self, now: float, *, resumes: bool = True) -> list[Command]:
        """Handle an open socket; the service sends the first event. `resumes`: its resource knows the
        conversation id.
        """
        if not resumes:
            self._beginning.conversation_unknown()
        return self._session.connected(now)

    def connected_to_configured(
        self, session: vl.SessionUpdated, refusals: Iterable[str], now: float, *, resumes: bool = True
    ) -> list[Command]:
        """Handle an open socket whose session was configured in advance, without the settings in `refusals`."""
        commands = self.connected(now, resumes=resumes)
        commands += [self._clock.notice("setting_refused", refused, now) for refused in refusals]
        return commands + self._ready(session, now)

    def voice_event(self, event: vl.ServerEvent, now: float) -> list[Command]:
        if self._session.answers_probe(event, now):
            return []
        if self._session.ready:
            if type(event) is vl.ErrorEvent and (late := self._session.refused_late(event, now)):
                return late
            commands, passes = self._gate.take(event, now)
            if not passes:
                return commands + self._advance(now)
            if type(event) is vl.AudioDelta:
                return commands + self._turns.voice_event(event, now)
            if isinstance(event, vl.SpeechStarted):
                self._manners.sign_of_life()
            if isinstance(event, vl.AgentTranscriptDone):
                commands += self._acting.said(event, now)
            called = self._acting.voice_event(event, now)
            commands += self._turns.voice_event(event, now) if called is None else called
            return commands + self._advance(now)
        if self.phase is Phase.OPENING:
            commands = self._session.opening(event, now) + self._set_up(now)
            responds = self.ready and isinstance(event, vl.ResponseCreated | vl.AudioDelta)
            return commands + self.voice_event(event, now) if responds else commands
        return []

    def _set_up(self, now: float) -> list[Command]:
        """Begin the session if it is configured."""
        session = self._session.setup_result
        return [] if session is None else self._ready(session, now)

    def session_lost(self, reason: str, now: float) -> list[Command]:
        """Handle a closed or failed socket."""
        was_ready = self._session.ready
        self._own_greeting.session_lost()
        commands = self._session.closed(reason, now) + self._turns.session_lost(now)
        if was_ready:
            self._hold.session_lost(now)
            commands.append(self._clock.notice("voice_lost", reason, now))
        return commands

    def agent_left(self, now: float) -> list[Command]:
        """Handle a session that the service has closed with 1000: a voice agent hangs up like this. Return no command
        if this does not end the call.
        """
        ends = self.profile.defined and not self.transfers.rests
        commands = self._floor.agent_left(now) if ends else []
        return commands and commands + self._manners.agent_left(now) + self._advance(now)

    def _ready(self, event: vl.SessionUpdated, now: float) -> list[Command]:
        self.transfers.left_alone(now)
        commands = self._beginning.begin(event, now)
        self.keypad.session_ready()
        # Probe once while the session is healthy: a silent session is abandoned only if it has answered a probe.
        commands.append(self._session.probe(now))
        self._turns.session_ready(now)
        self._own_greeting.session_ready(now, greeted=self._floor.greeted)
        return commands + self._advance(now)

    # -- answers to commands
    def greeting_granted(self, granted: bool, now: float) -> list[Command]:
        """Handle the result of `MarkGreeted`. `granted` is False if another relay has already greeted this caller."""
        self._floor.greeting_answered()
        commands = self._prompts.greeting_granted(granted, now, by_service=self._own_greeting.awaited)
        for event in self._own_greeting.release(granted=granted):
            commands += self.voice_event(event, now)
        return commands + self._advance(now)

    def tool_answered(self, call_id: str, output: str, now: float) -> list[Command]:
        return self._acting.returned(call_id, output, now) + self._advance(now)

    def instruct(self, entry: Instruct, now: float) -> list[Command]:
        """Handle an instruction of call-control: a request or a message for the agent."""
        return self._acting.instruct(entry, now) + self._advance(now)

    # -- announcements
    def hold_announcements(self, held: bool, now: float) -> list[Command]:
        """Stop (`held`) or allow further sentences of announcements. While stopped, they are left to the next relay."""
        return self.tick(now) if self._announcements.hold(held) else []

    def say(self, entry_id: str, piece: Say, now: float) -> list[Command]:
        commands = self._announcements.piece(entry_id, piece, now)
        if commands and piece.interrupt:
            self._prompts.owed.replaced()
        return commands + self._floor.announce(now)

    def _say_phrase(self, piece: Say, now: float) -> list[Command]:
        return self.say(NO_ENTRY, piece, now)

    # -- the caller's side
    def from_caller(self, entry: FromCaller, now: float) -> list[Command]:
        match entry:
            case Playing():
                self._acting.heard(entry.item_id)
                commands = self._turns.playing(entry.item_id, now)
            case Played():
                commands = self._turns.played(entry.item_id, entry.heard_ms, now, complete=entry.complete)
            case Dtmf():
                commands = self._acting.pressed(entry, now)
            case MediaAttached():
                return self.media_replaced(now, now)
            case MediaDetached():
                commands = self._turns.media_detached(now)
        return commands + self._advance(now)

    def media_replaced(self, lost_at: float, now: float) -> list[Command]:
        """Handle a new media socket that replaces the previous one. `lost_at`: when the previous one was last known
        alive.
        """
        return self._turns.media_attached(lost_at, now) + self.transfers.media_attached() + self.attached(now)

    def attached(self, now: float) -> list[Command]:
        """Handle a media socket that was attached before this relay claimed the call."""
        self._hold.attached(now)
        return self._advance(now)

    def caller_audio(self, now: float) -> list[Command]:
        """Handle the first caller audio: from now on, audio flows in both directions."""
        self._hold.audio(now)
        return self._advance(now)

    # -- time
    def _advance(self, now: float) -> list[Command]:
        """Return the requests that are possible now: first the pending response, then announcements."""
        commands = self._floor.greet(now)
        if self.transfers.rests:
            self._prompts.owed.dropped()
        silent = self._speech.quiet and self._prompts.responses.idle
        commands += self.keypad.advance(now, quiet=silent and self._floor.free(now))
        if self._own_greeting.may_request(now):
            commands += self._turns.advance(now, closing=self._manners.closing or self.transfers.rests)
        free = self._floor.free(now)
        still = free and self._speech.quiet and self._prompts.responses.idle and self._announcements.quiet
        commands += self.transfers.advance(now, still=still)
        quiet = free and self.quiet and not self._turns.tools.running and not self.transfers.rests
        commands += self._manners.advance(now, quiet=quiet, still=still, caller_speaks=self._caller.speaks)
        return commands + self._floor.announce(now)

    def next_at(self) -> float | None:
        """Return when `tick` is due next; None if no deadline is known."""
        times = [
            self.keypad.next_at,
            self._hold.hold_at(self._turns.of_agent.tone_at),
            self._turns.next_at,
            self._session.next_at(self._prompts.due_since),
            self._floor.greeting_at,
            self._floor.announce_at,
            self._own_greeting.next_at(),
            self._manners.next_at(),
            self.transfers.next_at(),
        ]
        return min((at for at in times if at is not None), default=None)

    def tick(self, now: float) -> list[Command]:
        commands = self.keypad.tick(now)
        commands += self._floor.hold_tone(self._prompts.owed, now, asks=not self.transfers.rests)
        commands += self._turns.tick(now)
        self._session.begin_as_defined(now)
        commands += self._set_up(now)
        return commands + self._session.tick(self._prompts.due_since, now) + self._advance(now)

    # -- the end
    def call_ended(self, now: float) -> list[Command]:
        return (
            self._session.closed("call ended", now) + self._speech.call_ended(now) + self._announcements.call_ended(now)
        )

    def call_left(self, now: float) -> list[Command]:
        """Record unfinished announcements. The next relay continues the call; audio in the downlink is played to its
        end.
        """
        return self._session.closed("relay stopped handling call", now) + self._announcements.queue.call_left(now)
