"""The conversation of one call, over as many voice sessions as it takes.

Events go in with `now` (monotonic seconds), commands come out. Each voice session goes through three phases:

    CLOSED ──connected──► OPENING ──session.updated──► READY ──session_lost──► CLOSED

The conversation outlives them: a later session is told what was said, or resumes it by its conversation id, and is not
asked to greet again.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import Final, TypeAlias

from agent_relay.core.dialog.caller_speech import CallerSpeech
from agent_relay.core.dialog.conversation_commands import Abandon, Append, Command, MarkGreeted, Ready
from agent_relay.core.dialog.debt import Debt, DebtKind
from agent_relay.core.dialog.history import KEYS, TONES, History, keypad_text
from agent_relay.core.dialog.hold_policy import HoldPolicy
from agent_relay.core.dialog.keypad import Keypad
from agent_relay.core.dialog.prompts import Prompts, sends
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.turns import Turns
from agent_relay.core.dialog.wall_clock import WallClock
from agent_relay.core.keepalive import Keepalive
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.session_setup import SessionSetup
from bridge_common.wire.entries import Dtmf, Hold, MediaAttached, MediaDetached, Played, Playing, Say, Saying

OPENING_S: Final = 8.0
"""A session that is not configured by then is given up."""

FromCaller: TypeAlias = Dtmf | Playing | Played | MediaAttached | MediaDetached


class ConversationPhase(Enum):
    CLOSED = auto()
    OPENING = auto()
    READY = auto()


class Conversation:
    """`unix_offset_s` makes Unix time of `now`. `taken_over`: another relay held this call before us, which came as far
    as `said` with texts of others."""

    def __init__(
        self,
        plan: SessionProfile,
        history: History,
        *,
        greeted: bool = False,
        taken_over: bool = False,
        media_attached: bool = False,
        conversation_id: str = "",
        saying: Iterable[Saying] = (),
        unix_offset_s: float = 0.0,
        said: str = "",
    ) -> None:
        self.phase = ConversationPhase.CLOSED
        self.conversation_id = conversation_id
        self.plan = plan
        self.greeted = greeted or plan.greeting is None
        self._history = history
        self._clock = WallClock(unix_offset_s)
        self._prompts = Prompts(plan, self._clock)
        self._turns = Turns(
            plan, history, self._prompts, self._clock, saying, said=said, taken_over=taken_over, greeted=greeted
        )
        self._speech = self._turns.speech
        self.caller: Final[CallerSpeech] = self._turns.caller
        self.announcements = self._turns.announcements
        self._greeting_pends = False
        self._responses = self._prompts.responses
        self._keypad = Keypad()
        self._setup = SessionSetup(plan.session, plan.essential_session)
        self._first_session = not taken_over
        self._pulse = Keepalive()
        self._waited_for: Debt | None = None
        """For which the caller was asked to wait."""
        self._phase_since = 0.0
        # The relay before us may have left the hold tone on.
        self._line = HoldPolicy(plan.greeting_delay_s, media_attached=media_attached, maybe_holding=taken_over)

    @property
    def last_error(self) -> str:
        """What the service said last against this session, for the reason of a failed connection."""
        return self._prompts.last_error

    def begin(self, now: float) -> None:
        """The call is ours, and has no voice session yet. Until `left_alone` somebody else may speak in it."""
        self._turns.begin(now)

    def left_alone(self, now: float) -> None:
        """Nobody else speaks in the call: without a voice session the caller hears nothing."""
        if self.phase is not ConversationPhase.READY:
            self._line.session_lost(now)

    # -- the voice session
    def connected(self, now: float) -> list[Command]:
        """A socket is open; the service speaks first."""
        self.phase = ConversationPhase.OPENING
        self._prompts.last_error = ""
        self._phase_since = now
        self._pulse.begin(now)
        self._setup.begin()
        return []

    def takes(self, setup: SessionSetup) -> bool:
        """Whether a session that was set up like this will do: one by conversation id has to be opened with the id."""
        return (self.plan.replays or not self.conversation_id) and setup.wants(self.plan.session)

    def connected_to_configured(self, session: vl.SessionUpdated, refusals: Iterable[str], now: float) -> list[Command]:
        """A socket is open whose session was configured, without what was refused, before there was a call for it."""
        self.connected(now)
        return [self._clock.notice("setting_refused", what, now) for what in refusals] + self._ready(session, now)

    def voice_event(self, event: vl.ServerEvent, now: float) -> list[Command]:
        if self._pulse.is_own(event, now):
            return []
        if self.phase is ConversationPhase.READY:
            commands = self._turns.voice_event(event, now)
            return commands if type(event) is vl.AudioDelta else commands + self._advance(now)
        if self.phase is ConversationPhase.OPENING:
            return self._on_opening(event, now)
        return []

    def _on_opening(self, event: vl.ServerEvent, now: float) -> list[Command]:
        if isinstance(event, vl.SessionUpdated):
            return self._ready(event, now)
        commands = sends(self._setup.answer(event))
        if isinstance(event, vl.ErrorEvent):
            self._prompts.last_error = self._setup.error
            if self._setup.hopeless:
                return [Abandon(f"session.update refused: {self.last_error}", retry=False)]
            if commands:
                commands.insert(0, self._clock.notice("setting_refused", self._setup.refusals[-1], now))
        return commands

    def session_lost(self, why: str, now: float) -> list[Command]:
        """The socket is gone, or was never won."""
        was_ready = self.phase is ConversationPhase.READY
        self.phase = ConversationPhase.CLOSED
        commands = self._turns.session_lost(now)
        if was_ready:
            self._line.session_lost(now)
            commands.append(self._clock.notice("voice_lost", why, now))
        return commands

    def _ready(self, event: vl.SessionUpdated, now: float) -> list[Command]:
        self.phase, self._phase_since = ConversationPhase.READY, now
        self._prompts.ready = True
        expected, told = self.conversation_id, event.conversation_id
        self.conversation_id = told or expected
        commands: list[Command] = [Ready(event.session_id, self.conversation_id, event.expires_at_s)]
        if self._line.session_back():
            commands.append(Append(Hold(False)))
        unsent = self._prompts.take_unsent()
        if not self._first_session:
            # A conversation id that the service does not know makes a new conversation without a word.
            replayed = self.plan.replays or not expected or told not in ("", expected)
            commands.append(self._clock.notice("voice_resumed", "replayed" if replayed else "continued", now))
            commands += sends(self._history.replay(self.plan.assistant_part) if replayed else unsent)
        else:
            commands += sends(unsent)
        self._first_session = False
        # Probe once while the session is healthy: a silent session is given up only if it has answered a probe.
        commands.append(self._pulse.probe(now))
        self._turns.session_ready(now)
        return commands + self._greet_when_due(now) + self._advance(now)

    # -- greeting
    def _greet_when_due(self, now: float) -> list[Command]:
        if self.greeted or self.phase is not ConversationPhase.READY or not self._line.open(now):
            return []
        self.greeted = self._greeting_pends = True
        return [MarkGreeted()]

    def greeting_granted(self, granted: bool, now: float) -> list[Command]:
        """The answer to `MarkGreeted`: False when another relay has greeted this caller."""
        self._greeting_pends = False
        return self._prompts.greeting_granted(granted, now) + self._advance(now)

    def tool_answered(self, call_id: str, output: str, now: float) -> list[Command]:
        """The answer to `RunTool`."""
        return self._turns.tool_answered(call_id, output, now) + self._advance(now)

    @property
    def protects_greeting(self) -> bool:
        """Caller audio must not reach the voice session now."""
        return self._turns.protects_greeting

    def _advance(self, now: float) -> list[Command]:
        """Request what has become possible: first speech owed to the caller, then announcements."""
        return self._turns.advance(now) + self._announce(now)

    # -- what others want said
    def say(self, entry_id: str, piece: Say, now: float) -> list[Command]:
        commands = self.announcements.piece(entry_id, piece, now)
        if commands and piece.interrupt:
            self._prompts.owed.replaced()
        return commands + self._announce(now)

    def _announce(self, now: float) -> list[Command]:
        """After all that may make room for it."""
        if self.announcements.idle:
            return []
        free = (
            self.phase is ConversationPhase.READY and self._line.open(now) and self.greeted and not self._greeting_pends
        )
        free = free and not self._turns.caller_comes_first(now) and not self._turns.gateway.media_away
        return self.announcements.advance(now, free=free)

    def _announce_at(self) -> float | None:
        """When something can be announced, as far as only time has to pass."""
        at, opens_at = self.announcements.next_at(), self._line.opens_at
        if at is None or opens_at is None or not self.greeted or self._greeting_pends:
            return None
        if self.caller.speaks or self._turns.gateway.media_away:
            return None
        return max(at, opens_at, self._turns.answer_due_at or 0.0)

    # -- the caller's side
    def from_caller(self, entry: FromCaller, now: float) -> list[Command]:
        return self._on_caller(entry, now) + self._advance(now)

    def _on_caller(self, entry: FromCaller, now: float) -> list[Command]:
        match entry:
            case Playing():
                return self._turns.gateway.playing(entry.item_id, now)
            case Played():
                return self._turns.gateway.played(entry.item_id, entry.heard_ms, now, complete=entry.complete)
            case Dtmf() if self.plan.dtmf == "ignore":
                return []
            case Dtmf():
                return self._turns.key_pressed(now) + self._typed(self._keypad.press(entry.tone, now), now)
            case MediaAttached():
                return self.media_replaced(now, now)
            case MediaDetached():
                return self._turns.gateway.media_detached(now)

    def media_replaced(self, lost_at: float, now: float) -> list[Command]:
        """Another media socket is there. `lost_at`: when the previous one was alive last."""
        return self._turns.gateway.media_attached(lost_at, now) + self.attached(now) + self._advance(now)

    def attached(self, now: float) -> list[Command]:
        """The media socket that another relay has seen already."""
        self._line.attached(now)
        return self._greet_when_due(now)

    def caller_audio(self, now: float) -> list[Command]:
        """The first audio of the caller: the line is open both ways."""
        self._line.audio(now)
        return self._greet_when_due(now) + self._advance(now)

    def _typed(self, tones: str | None, now: float) -> list[Command]:
        if not tones:
            return []
        text, began_at = keypad_text(tones), self._keypad.began_at
        self._history.caller(f"tones {self._clock.unix_ms(began_at)}", text)
        self._prompts.owed.owe(DebtKind.KEYS, now)
        shown = self.plan.dtmf == "transcript"
        written: list[Command] = [self._clock.notice(TONES, tones, began_at, private=not shown)]
        if not shown:
            written.append(self._clock.notice(KEYS, str(len(tones)), began_at))
        return [*written, *self._prompts.to_session([vl.create_message("user", text)])]

    # -- time
    @property
    def typing(self) -> bool:
        """The caller has pressed keys that were not sent to the agent yet."""
        return self._keypad.next_at is not None

    @property
    def quiet(self) -> bool:
        """Nobody speaks and nobody is about to: a good moment to hand the call over."""
        nobody_waits = not self.caller.waits and not self._prompts.owed.unheard
        nobody_speaks = self._speech.quiet and self._responses.idle and nobody_waits
        return nobody_speaks and not self.typing and self.announcements.quiet

    @property
    def _is_due(self) -> bool:
        """Something has to come from the voice session."""
        return not self._responses.idle or self._prompts.owed.expected

    @property
    def _waits_since(self) -> float | None:
        return self._turns.waits_since if self.phase is ConversationPhase.READY else None

    def next_at(self) -> float | None:
        """When `tick` has something to do, as far as is known now."""
        times = [self._keypad.next_at, self._line.hold_at(self._waits_since), self._turns.next_at]
        if self.phase is ConversationPhase.OPENING:
            times.append(self._phase_since + OPENING_S)
        elif self.phase is ConversationPhase.READY:
            if not self.greeted:
                times.append(self._line.opens_at)
            if self._is_due:
                times.append(self._pulse.next_at(self._responses.asked_at))
            times.append(self._announce_at())
        return min((at for at in times if at is not None), default=None)

    def tick(self, now: float) -> list[Command]:
        commands = self._typed(self._keypad.due(now), now)
        waits_since = self._waits_since
        if (hold := self._line.hold(waits_since, now)) is not None:
            commands.append(Append(Hold(hold, phrase=hold and waits_since is not None and self._asks_to_wait())))
        commands += self._turns.tick(now)
        if self.phase is ConversationPhase.OPENING and now >= self._phase_since + OPENING_S:
            return [*commands, Abandon("the voice session was not configured in time")]
        if self.phase is ConversationPhase.READY:
            commands += self._greet_when_due(now)
            commands += self._pulse.feel(self._responses.asked_at, now) if self._is_due else []
        return commands + self._advance(now)

    def _asks_to_wait(self) -> bool:
        """Once for each debt, and not into the agent's speech."""
        debt, before = self._prompts.owed.debt, self._waited_for
        self._waited_for = debt
        return self._speech.quiet and (debt is None or debt is not before)

    def call_ended(self, now: float) -> list[Command]:
        """What is still to be written down."""
        self._close()
        return self._speech.call_ended(now) + self.announcements.call_ended(now)

    def call_left(self, now: float) -> list[Command]:
        """The same, when another relay goes on: what still sounds is not over."""
        self._close()
        return self.announcements.call_left(now)

    def _close(self) -> None:
        self.phase = ConversationPhase.CLOSED
        self._prompts.ready = False
