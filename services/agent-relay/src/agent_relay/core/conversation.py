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

from agent_relay.core import voice_live as vl
from agent_relay.core.agent_speech import AgentSpeech
from agent_relay.core.caller_speech import CallerSpeech
from agent_relay.core.commands import Abandon, Append, Command, MarkGreeted, Ready, Record, RunTool, Send
from agent_relay.core.greeting import Saying
from agent_relay.core.history import TONES, History, keypad_text, tool_notice
from agent_relay.core.keypad import Keypad
from agent_relay.core.line import Line
from agent_relay.core.plan import Plan
from agent_relay.core.pulse import Pulse
from agent_relay.core.responses import Purpose, Responses
from agent_relay.core.session_setup import SessionSetup
from agent_relay.core.tool_calls import NOT_AVAILABLE, ToolCalls
from bridge_common.entries import Dtmf, Hold, MediaAttached, MediaDetached, Notice, Played, Playing

OPENING_S: Final = 8.0
"""A session that is not configured by then is given up."""

FromCaller: TypeAlias = Dtmf | Playing | Played | MediaAttached | MediaDetached


class Phase(Enum):
    CLOSED = auto()
    OPENING = auto()
    READY = auto()


class Conversation:
    """`unix_offset_s` makes Unix time of `now`. `taken_over`: another relay held this call before us."""

    def __init__(
        self,
        plan: Plan,
        history: History,
        *,
        greeted: bool = False,
        taken_over: bool = False,
        media_attached: bool = False,
        conversation_id: str = "",
        unix_offset_s: float = 0.0,
    ) -> None:
        self.phase = Phase.CLOSED
        self.conversation_id = conversation_id
        self.last_error = ""
        """What the service said last against this session, for the reason of a failed connection."""
        self.plan = plan
        self._history = history
        self._unix_offset_s = unix_offset_s
        self._speech = AgentSpeech(history, truncates=plan.truncates, unix_ms=self._unix_ms)
        self._responses = Responses()
        self._keypad = Keypad()
        self._setup = SessionSetup(plan.session, plan.essential_session)
        self._first_session = not taken_over
        self._pulse = Pulse()
        self._phase_since = 0.0
        # The relay before us may have left the hold tone on.
        self._line = Line(plan.greeting_delay_s, media_attached=media_attached, maybe_holding=taken_over)
        self.caller = CallerSpeech(history, unix_ms=self._unix_ms)
        self._owed = False
        self._unsent: list[vl.ClientEvent] = []
        self._failures = 0
        self.greeted = greeted or plan.greeting is None
        self._greeting = Saying(plan.greeting or plan.fallback, speaks_fixed_text=plan.speaks_fixed_text)
        self._greeting_waits = False
        self._greeting_spoken = False
        self._fallback = Saying(plan.fallback, speaks_fixed_text=plan.speaks_fixed_text)
        self._tools = ToolCalls()

    def begin(self, now: float) -> None:
        """The call is ours. After another relay the caller has waited long enough already to be put on hold soon."""
        if not self._first_session:
            self._line.session_lost(now)

    # -- the voice session
    def connected(self, now: float) -> list[Command]:
        """A socket is open; the service speaks first."""
        self.phase = Phase.OPENING
        self.last_error = ""
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
        return [self._notice("setting_refused", what, now) for what in refusals] + self._ready(session, now)

    def voice_event(self, event: vl.ServerEvent, now: float) -> list[Command]:
        if self._pulse.is_own(event, now):
            return []
        if self.phase is Phase.READY:
            return self._on_talk(event, now)
        if self.phase is Phase.OPENING:
            return self._on_opening(event, now)
        return []

    def _on_opening(self, event: vl.ServerEvent, now: float) -> list[Command]:
        if isinstance(event, vl.SessionUpdated):
            return self._ready(event, now)
        commands = _sends(self._setup.answer(event))
        if isinstance(event, vl.ErrorEvent):
            self.last_error = self._setup.error
            if self._setup.hopeless:
                return [Abandon(f"session.update refused: {self.last_error}", retry=False)]
            if commands:
                commands.insert(0, self._notice("setting_refused", self._setup.refusals[-1], now))
        return commands

    def _on_talk(self, event: vl.ServerEvent, now: float) -> list[Command]:
        match event:
            case vl.AudioDelta():
                if self._responses.purpose is Purpose.GREETING:
                    self._greeting_spoken = True
                return self._speech.delta(event, now)
            case vl.AudioDone():
                return self._speech.audio_done(event)
            case vl.AgentTranscriptDelta() | vl.AgentTranscriptDone():
                whole = isinstance(event, vl.AgentTranscriptDone)
                return self._speech.text(event.item_id, event.response_id, event.text, now, whole=whole)
            case vl.SpeechStarted():
                return self._speech_started(event, now)
            case vl.SpeechStopped():
                self.caller.stopped(event.item_id)
                self._speech.speech_end_at = now
                self._failures = 0
                return []
            case vl.UserTranscript() | vl.UserTranscriptFailed():
                return self.caller.told(event, now)
            case vl.ResponseCreated():
                self.caller.unanswered = ""
                self._responses.created(event.response_id)
                return []
            case vl.ResponseDone():
                return self._response_done(event, now)
            case vl.FunctionCall():
                return self._function_call(event, now)
            case vl.ErrorEvent():
                return self._refused(event, now)
            case _:
                return []

    def session_lost(self, why: str, now: float) -> list[Command]:
        """The socket is gone, or was never won."""
        was_ready = self.phase is Phase.READY
        self.phase = Phase.CLOSED
        commands = self._speech.session_lost()
        owed = self._responses.lost()
        if Purpose.GREETING in owed and not self._greeting_spoken:
            self._greeting_waits = True
            owed.remove(Purpose.GREETING)
        self._owed = self._owed or bool(owed) or bool(self.caller.unanswered) or self._tools.drop_answer()
        self.caller.speaks = False
        if was_ready:
            self._line.session_lost(now)
            commands.append(self._notice("voice_lost", why, now))
        return commands

    def _ready(self, event: vl.SessionUpdated, now: float) -> list[Command]:
        self.phase, self._phase_since = Phase.READY, now
        expected, told = self.conversation_id, event.conversation_id
        self.conversation_id = told or expected
        commands: list[Command] = [Ready(event.session_id, self.conversation_id, event.expires_at_s)]
        if self._line.session_back():
            commands.append(Append(Hold(False)))
        replayed = False
        if not self._first_session:
            # A conversation id that the service does not know makes a new conversation without a word.
            replayed = self.plan.replays or not expected or told not in ("", expected)
            commands.append(self._notice("voice_resumed", "replayed" if replayed else "continued", now))
            commands += _sends(self._history.replay() if replayed else self._unsent)
        else:
            commands += _sends(self._unsent)
        self._first_session = False
        self._unsent.clear()
        return commands + self._pay_owed(now) + self._greet_when_due(now)

    def _pay_owed(self, now: float) -> list[Command]:
        """Ask for what the lost session did not say any more."""
        commands: list[Command] = []
        if self._greeting_waits:
            self._greeting_waits = False
            self._greeting.restart()
            commands += self._greet(now)
        if self._owed:
            self._owed = False
            unanswered = self.caller.take_unanswered()
            unknown = unanswered and self.plan.replays and not self._history.text_of(unanswered)
            commands += self._say_fallback(now) if unknown else self._ask(now)
        return commands

    def _refused(self, event: vl.ErrorEvent, now: float) -> list[Command]:
        """Only a refused request needs something done; truncations that came too late and the like are harmless."""
        self.last_error = f"{event.code}: {event.message}"
        request = self._responses.refused(event, now)
        if request is None:
            return []
        purpose = request[1]
        notice = self._notice("request_refused", f"{purpose}: {event.code}", now)
        if purpose is Purpose.ANSWER:
            return [notice, *self._failed(now)]
        return [notice, *(self._greet(now) if purpose is Purpose.GREETING else self._say_fallback(now))]

    # -- turns
    def _speech_started(self, event: vl.SpeechStarted, now: float) -> list[Command]:
        self.caller.started(event.item_id, now)
        return self._speech.interrupt(self._responses.active) if self.plan.interrupts else []

    def _response_done(self, event: vl.ResponseDone, now: float) -> list[Command]:
        interrupted = self._speech.dropped(event.response_id)
        empty = not self._speech.spoke(event.response_id) and not self._tools.called_in(event.response_id)
        commands: list[Command] = []
        if event.status == "cancelled":
            self._tools.drop_answer()
            if event.reason == "turn_detected" and self.plan.interrupts and not interrupted:
                commands += self._speech.interrupt(event.response_id)
        commands += self._speech.response_done(event.response_id)
        commands += _sends(self._responses.done(event.response_id, now))
        if event.status == "completed":
            self._failures = 0
            self._fallback.restart()
        elif not interrupted and (event.status == "failed" or (event.status == "incomplete" and empty)):
            commands.append(self._notice("response_failed", event.reason or event.status, now))
            commands += self._failed(now)
        return commands + self._ask_after_tools(now)

    def _failed(self, now: float) -> list[Command]:
        """Once again; then say so, rather than leave the caller in silence."""
        self._failures += 1
        if self._failures == 1 and self._responses.purpose is Purpose.GREETING and not self._greeting_spoken:
            self._greeting.repeat()
            return self._greet(now)
        if self._failures == 1:
            return self._ask(now)
        return self._say_fallback(now) if self._failures == 2 else []

    def _ask(self, now: float) -> list[Command]:
        return _sends(self._responses.ask(vl.create_response(), Purpose.ANSWER, now))

    def _say_fallback(self, now: float) -> list[Command]:
        return self._say(self._fallback, Purpose.FALLBACK, now)

    def _say(self, saying: Saying, purpose: Purpose, now: float) -> list[Command]:
        attempt = saying.attempt()
        if attempt is None:
            return [self._notice(f"{purpose}_failed", self.last_error, now)]
        before, request = attempt
        return _sends(before) + _sends(self._responses.ask(request, purpose, now))

    # -- greeting
    def _greet_when_due(self, now: float) -> list[Command]:
        if self.greeted or self.phase is not Phase.READY or not self._line.open(now):
            return []
        self.greeted = True
        return [MarkGreeted()]

    def greeting_granted(self, granted: bool, now: float) -> list[Command]:
        """The answer to `MarkGreeted`: False when another relay has greeted this caller."""
        greeting = self.plan.greeting
        if not granted or greeting is None:
            return []
        notice = self._notice("greeting", greeting.text or greeting.say_how or "", now)
        if self.phase is not Phase.READY:
            self._greeting_waits = True
            return [notice]
        return [notice, *self._greet(now)]

    def _greet(self, now: float) -> list[Command]:
        return self._say(self._greeting, Purpose.GREETING, now)

    # -- functions
    def _function_call(self, event: vl.FunctionCall, now: float) -> list[Command]:
        self._tools.begin(event, self._speech.session)
        if event.name in self.plan.tools:
            return [RunTool(event.call_id, event.name, event.arguments)]
        return self.tool_answered(event.call_id, NOT_AVAILABLE, now)

    def tool_answered(self, call_id: str, output: str, now: float) -> list[Command]:
        """The answer to `RunTool`."""
        answer = self._tools.answer(call_id, output, self._speech.session)
        if answer is None:
            return []
        use, events = answer
        self._history.tool(use)
        commands = [Record(tool_notice(use, self._unix_ms(now))), *self._to_session(events)]
        return commands + self._ask_after_tools(now)

    def _ask_after_tools(self, now: float) -> list[Command]:
        if self.phase is not Phase.READY:
            self._tools.drop_answer()
            return []
        return self._ask(now) if not self._responses.active and self._tools.response_due() else []

    # -- the caller's side
    def from_caller(self, entry: FromCaller, now: float) -> list[Command]:
        match entry:
            case Playing():
                self._speech.playing(entry.item_id, now)
                return []
            case Played():
                return self._speech.played(entry.item_id, entry.heard_ms, complete=entry.complete)
            case Dtmf():
                tones = self._keypad.press(entry.tone, now)
                return self._typed(tones, now) if tones else []
            case MediaAttached():
                self._line.attached(now)
                return self._greet_when_due(now)
            case MediaDetached():
                return self._speech.unheard_is_lost(now)

    def caller_audio(self, now: float) -> list[Command]:
        """The first audio of the caller: the line is open both ways."""
        self._line.audio(now)
        return self._greet_when_due(now)

    def _typed(self, tones: str, now: float) -> list[Command]:
        text = keypad_text(tones)
        self._history.caller(f"tones {self._unix_ms(now)}", text)
        commands = [self._notice(TONES, tones, now), *self._to_session([vl.create_message("user", text)])]
        return commands + (self._ask(now) if self.phase is Phase.READY else [])

    def _to_session(self, events: list[vl.ClientEvent]) -> list[Command]:
        """Now, or with the next session, which then owes an answer."""
        if self.phase is Phase.READY:
            return _sends(events)
        self._unsent += events
        self._owed = True
        return []

    # -- time
    @property
    def quiet(self) -> bool:
        """Nobody speaks and nobody is about to: a good moment to hand the call over."""
        return self._speech.quiet and self._responses.idle and not self.caller.waits

    @property
    def _is_due(self) -> bool:
        """Something has to come from the voice session."""
        return not self._responses.idle or bool(self.caller.unanswered)

    def next_at(self) -> float | None:
        """When `tick` has something to do, as far as is known now."""
        times = [self._keypad.next_at, self._line.hold_at, self._responses.next_at]
        if self.phase is Phase.OPENING:
            times.append(self._phase_since + OPENING_S)
        elif self.phase is Phase.READY:
            if not self.greeted:
                times.append(self._line.opens_at)
            if self._is_due:
                times.append(self._pulse.next_at(self._responses.asked_at))
        return min((at for at in times if at is not None), default=None)

    def tick(self, now: float) -> list[Command]:
        commands: list[Command] = []
        if tones := self._keypad.due(now):
            commands += self._typed(tones, now)
        if self._line.hold_begins(now):
            commands.append(Append(Hold(True)))
        if self.phase is Phase.OPENING and now >= self._phase_since + OPENING_S:
            return [*commands, Abandon("the voice session was not configured in time")]
        if self.phase is Phase.READY:
            commands += _sends(self._responses.expired(now)) + self._greet_when_due(now)
            commands += self._pulse.feel(self._responses.asked_at, now) if self._is_due else []
        return commands

    def call_ended(self, now: float) -> list[Command]:
        """What is still to be written down."""
        self.phase = Phase.CLOSED
        return self._speech.call_ended(now)

    def _unix_ms(self, now: float) -> int:
        return int((now + self._unix_offset_s) * 1000)

    def _notice(self, what: str, detail: str, now: float) -> Record:
        return Record(Notice(what, detail, self._unix_ms(now)))


def _sends(events: Iterable[vl.ClientEvent]) -> list[Command]:
    return [Send(event) for event in events]
