"""The turns of a conversation: events of a ready voice session about the speech of the caller and of the agent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agent_relay.core.announcements.announcement_queue import AnnouncementQueue
from agent_relay.core.dialog.agent_speech import AgentSpeech
from agent_relay.core.dialog.caller_speech import CallerSpeech
from agent_relay.core.dialog.conversation_commands import Command, Record, RunTool, Send
from agent_relay.core.dialog.debt import DebtKind, State
from agent_relay.core.dialog.gateway_reports import GatewayReports
from agent_relay.core.dialog.history import History, tool_begun, tool_notice
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.recent_events import RecentEvents
from agent_relay.core.dialog.response_outcomes import ResponseOutcomes
from agent_relay.core.dialog.responses import UNKNOWN, Purpose
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.tool_calls import NOT_AVAILABLE, ToolCalls
from agent_relay.core.dialog.wall_clock import WallClock
from agent_relay.core.protocol import voice_events as vl
from bridge_common.wire.entries import Saying

GRACE_S: Final = 1.5
"""After another relay: how long the caller's speech may take to be heard again before its text is answered."""

AUDIBLE_MS: Final = 100
"""A response with less audio is silent."""
CUT_SHORT_MS: Final = 1500
"""An incomplete response with less audio says nothing: it has failed."""
ANSWER_DUE_S: Final = 3.0
"""Texts of others wait for the answer to the caller's words, but not longer: it may have been a cough."""


class Turns:
    """`saying`: what another relay let the agent say, and what of it was heard is not known yet; `said`: how far it
    came with texts of others."""

    def __init__(
        self,
        plan: SessionProfile,
        history: History,
        prompts: Prompts,
        clock: WallClock,
        saying: Iterable[Saying] = (),
        *,
        said: str = "",
        taken_over: bool = False,
        greeted: bool = False,
    ) -> None:
        self.speech = AgentSpeech(history, truncates=plan.truncates, unix_ms=clock.unix_ms)
        self.caller = CallerSpeech(history, unix_ms=clock.unix_ms)
        self._plan = plan
        self._history = history
        self._prompts = prompts
        self._owed = prompts.owed
        self._responses = prompts.responses
        self._clock = clock
        self._tools = ToolCalls()
        self._begun = RecentEvents()
        self._ended = RecentEvents()
        self._calls = RecentEvents()
        self._saying = tuple(saying)
        self._left_owing: DebtKind | None = None
        if taken_over and history.awaits_answer:
            self._left_owing = DebtKind.WORDS
        elif taken_over and greeted and history.empty and plan.greeting is not None:
            self._left_owing = DebtKind.GREETING  # a relay marked it and died before it spoke
        self._outcomes = ResponseOutcomes(prompts, self.speech, self.caller, clock)
        self._implied_end = ""
        """Item of the caller's speech that counts as ended because the response to it began."""
        self._greeting_id = ""
        """The response with the greeting."""
        self._sign_at = 0.0
        """When the agent was heard last, or something became due of it."""
        self.announcements = AnnouncementQueue(
            plan.say_forms, plan.language, prompts.responses, self.speech, clock, limits=plan.limits, said=said
        )
        self.gateway = GatewayReports(prompts, self.speech, self._outcomes, self.announcements)

    def begin(self, now: float) -> None:
        for one in self._saying:
            self.speech.adopt(one, self._clock.monotonic(one.at_ms))

    @property
    def waits_since(self) -> float | None:
        """Since when the agent should be heard and is not; None while nothing is due of it."""
        if self.caller.speaks:
            return None
        if self._owed.unheard and (debt := self._owed.debt) is not None:
            # For a tool's result the caller waits since the tool was called.
            return self._sign_at if debt.kind is DebtKind.TOOL_RESULT else max(self._sign_at, debt.opened_at)
        due = not self._responses.idle or self._tools.running
        return max(self._sign_at, self._responses.asked_at) if due else None

    @property
    def next_at(self) -> float | None:
        """When `tick` has something to do."""
        times = [self.speech.next_at]
        if self._counts:
            times += [self._owed.due_at, self.caller.over_at, self._over_at]
        return min((at for at in times if at is not None), default=None)

    @property
    def _over_at(self) -> float | None:
        """When the active response counts as ended although the service does not report it."""
        return None if self._tools.running else self._owed.over_at

    def _end_unreported(self, now: float) -> list[Command]:
        response_id = self._responses.active
        if response_id in ("", UNKNOWN) or not self._ended.is_new(response_id):
            return []
        return self._response_done(vl.ResponseDone(response_id, "completed", ""), now)

    @property
    def _counts(self) -> bool:
        """Time limits count: the agent could be heard now."""
        return self._prompts.ready and not self.gateway.media_away

    def tick(self, now: float) -> list[Command]:
        commands = self.speech.tick(now) + self.gateway.never_heard(now)
        if self._counts:
            if (over_at := self.caller.over_at) is not None and now >= over_at:
                commands += self._speech_stopped(self.caller.item_id, now)
            if self.speech.plays:
                self._owed.queued(now)
            if (ends_at := self._over_at) is not None and now >= ends_at:
                commands += self._end_unreported(now)
            commands += self._outcomes.missed(self._owed.tick(now), now)
        return commands

    def advance(self, now: float) -> list[Command]:
        """Request the owed speech if the caller can hear it now and does not speak."""
        return [] if self.caller.speaks or self.gateway.media_away else self._prompts.advance(now)

    def voice_event(self, event: vl.ServerEvent, now: float) -> list[Command]:
        match event:
            case vl.AudioDelta():
                self._sign_at = now
                began: list[Command] = []
                if event.pcm:
                    began = self._began_unreported(event.response_id, now)
                    self._owed.sounded(event.response_id, now)
                return began + self.speech.delta(event, now, answers=self._responses.purpose is not Purpose.SAY)
            case vl.ItemDone():
                self._owed.item_done(event.response_id)
                return self.speech.item_done(event)
            case vl.AgentTextDone():
                self._outcomes.wrote(event.response_id, event.text)
                return []
            case vl.AgentTranscriptDelta() | vl.AgentTranscriptDone():
                whole, part = isinstance(event, vl.AgentTranscriptDone), event.content_index
                if whole:
                    self._outcomes.wrote(event.response_id, event.text)
                return self.speech.text(
                    event.item_id, event.response_id, event.text, now, whole=whole, content_index=part
                )
            case vl.SpeechStarted():
                return self._speech_started(event, now)
            case vl.SpeechStopped():
                if self._responses.active and event.item_id == self._implied_end:
                    return []  # the response to it has begun already
                return self._speech_stopped(event.item_id, now)
            case vl.UserTranscript() | vl.UserTranscriptFailed():
                return self._transcript(event, now)
            case vl.ResponseCreated():
                return self._response_created(event.response_id, now) if self._begun.is_new(event.response_id) else []
            case vl.ResponseDone():
                return self._response_done(event, now) if self._ended.is_new(event.response_id) else []
            case vl.FunctionCall():
                return self._function_call(event, now)
            case vl.Truncated():
                self.speech.truncated(event.item_id)
                return []
            case vl.ErrorEvent():
                if (instead := self.speech.truncation_refused(event)) is not None:
                    return instead
                return self._prompts.refused(event, now) + self.announcements.refused(event, now)
            case _:
                return []

    # -- whose turn it is
    @property
    def answer_due_at(self) -> float | None:
        """When an answer to the caller's words is no longer waited for; None when there is none to wait for."""
        debt = self._owed.debt
        if debt is None or debt.state is not State.AWAITED or debt.requested:
            return None
        return debt.opened_at + (debt.start_s or ANSWER_DUE_S)

    def caller_comes_first(self, now: float) -> bool:
        due_at = self.answer_due_at
        return self.caller.speaks or (due_at is not None and now < due_at)

    # -- the voice session
    def session_lost(self, now: float) -> list[Command]:
        commands = self.speech.session_lost()
        self._begun, self._ended = RecentEvents(), RecentEvents()
        self.announcements.session_lost()
        self.caller.speaks = False
        commands += self._words(now)
        if self._tools.drop_answer() and not self._owed.unheard:
            self._owed.owe(DebtKind.TOOL_RESULT, now)
        return commands + self._prompts.session_lost(now)

    def session_ready(self, now: float) -> None:
        """A voice session is there, after the last one or after another relay."""
        if self._left_owing is not None:
            # The service may hear the caller's last words again, from us, and answer them by itself.
            self._owed.owe(self._left_owing, now, awaited=True, start_s=GRACE_S)
            self._left_owing = None
        debt = self._owed.debt
        unanswered = self.caller.take_unanswered()
        lost_words = debt is not None and debt.kind is DebtKind.WORDS and debt.item_id == unanswered != ""
        if lost_words and self._plan.replays and not self._history.text_of(unanswered):
            self._owed.fall_back(now)  # the caller's words are lost
        self._owed.ready(now)

    # -- turns
    def _speech_started(self, event: vl.SpeechStarted, now: float) -> list[Command]:
        if self.protects_greeting or not self.caller.started(event.item_id, now):
            return []
        self._owed.caller_began()
        return self._interrupt(self._responses.active) if self._plan.interrupts else []

    def _speech_stopped(self, item_id: str, now: float) -> list[Command]:
        if not self.caller.stopped(item_id, now) and item_id != self._implied_end:
            return []  # reported twice
        self.speech.speech_end_at = now
        self._owed.caller_ended(item_id, now, awaited=self._plan.responds)
        return []

    def _transcript(self, event: vl.UserTranscript | vl.UserTranscriptFailed, now: float) -> list[Command]:
        commands = self.caller.told(event, now)
        if isinstance(event, vl.UserTranscript) and event.text.strip():
            if event.item_id != self.caller.item_id:
                return commands  # a late transcript of earlier speech does not show that this one has words
            self._owed.words_confirmed()
            return commands + self._words(now)
        self.caller.forget(event.item_id)
        commands += self._outcomes.missed(self._owed.no_words(event.item_id, now, self._resume), now)
        if not self.caller.waits:
            self.announcements.go_on()
        return commands

    def _resume(self, response_id: str) -> bool:
        """The service did not cancel it, so that it can be heard."""
        return response_id == self._responses.active and self.speech.resume(response_id)

    def _words(self, now: float) -> list[Command]:
        """The caller said words: a paused announcement ends."""
        return self.announcements.interrupted(now) if self.announcements.paused else []

    def _interrupt(self, response_id: str) -> list[Command]:
        self.announcements.pause()
        commands = self.speech.interrupt(response_id)
        if (commands or response_id) and self._responses.purpose is not Purpose.SAY:
            self._owed.cut_off()
        return commands

    def key_pressed(self, now: float) -> list[Command]:
        """A key press interrupts the agent, as speech does. A response that is not heard yet continues."""
        if not self._plan.keys_interrupt or self.speech.quiet or self.protects_greeting:
            return []
        active = self._responses.active
        commands = self._interrupt(active) + self.announcements.interrupted(now)
        if active not in ("", UNKNOWN):
            commands.append(Send(vl.cancel_response(active)))
        self._owed.taken_back()
        return commands

    @property
    def protects_greeting(self) -> bool:
        """The caller is hearing a greeting that cannot be interrupted, or is about to."""
        if not self._plan.greeting_protected:
            return False
        debt = self._owed.debt
        asked = debt is not None and debt.kind is DebtKind.GREETING and debt.state is not State.OPEN
        return asked or (bool(self._greeting_id) and not self.speech.settled((self._greeting_id,)))

    # -- responses
    def _began_unreported(self, response_id: str, now: float) -> list[Command]:
        """Its first sign is its audio or a function call: `response.created` may come late, or never."""
        if response_id == self._responses.active or not self._begun.is_new(response_id):
            return []
        return self._response_created(response_id, now)

    def _response_created(self, response_id: str, now: float) -> list[Command]:
        if self.waits_since is None:
            self._sign_at = now
        self._responses.created(response_id)
        if self._responses.purpose is Purpose.SAY:
            return self.announcements.unwanted(response_id)
        if self._responses.requested and self.announcements.override_request:
            self.speech.drop(response_id)
            self._owed.began(response_id, now)
            self._owed.replaced()
            return [Send(vl.cancel_response(response_id))]
        if self._owed.is_surplus(requested=self._responses.requested):
            self.speech.drop(response_id)
            return [Send(vl.cancel_response(response_id))]
        if self._responses.purpose is Purpose.GREETING:
            self._greeting_id = response_id
        if self.caller.speaks:
            if self._responses.requested:
                # The caller began to speak while our request was under way.
                self.speech.drop(response_id)
                return [Send(vl.cancel_response(response_id))]
            # A response implies that the caller's turn has ended; the service reports the end late, or never.
            self._speech_stopped(self.caller.item_id, now)
            self._implied_end = self.caller.item_id
        self.caller.unanswered = ""
        self._owed.began(response_id, now)
        return self._words(now)

    def _response_done(self, event: vl.ResponseDone, now: float) -> list[Command]:
        response_id = event.response_id
        self._begun.is_new(response_id)  # what still comes of it begins nothing
        interrupted = self.speech.dropped(response_id)
        spoken_ms = self.speech.spoken_ms(response_id)
        silent = spoken_ms < AUDIBLE_MS and not self._tools.called_in(response_id)
        announced = self._responses.is_active_for(Purpose.SAY, response_id)
        commands: list[Command] = []
        if event.status == "cancelled":
            self._tools.drop_answer()
            detected = event.reason == "turn_detected" and self._plan.interrupts
            if detected and not interrupted and not self.protects_greeting:
                commands += self._interrupt(response_id) + self.announcements.interrupted(now)
        commands += self.speech.response_done(response_id)
        self._responses.done(response_id)
        if announced:
            commands += self.announcements.response_done(event, now, silent=silent)
        elif not interrupted:
            cut = event.status == "incomplete" and spoken_ms < CUT_SHORT_MS
            cut = cut or (event.status == "cancelled" and self.protects_greeting)
            commands += self._outcomes.ended(event, now, silent=silent, cut=cut)
        return commands + self._after_tools(now)

    # -- functions
    def _function_call(self, event: vl.FunctionCall, now: float) -> list[Command]:
        if not self._calls.is_new(event.call_id):
            return []
        self._sign_at = now
        began = self._began_unreported(event.response_id, now)
        self._tools.begin(event, self.speech.session)
        self._owed.called_tool(event.response_id, now)
        if event.name in self._plan.tools:
            # Written down before: a relay after us must not do it again.
            begun = tool_begun(event.call_id, event.name, event.arguments, self._clock.unix_ms(now))
            return [*began, Record(begun), RunTool(event.call_id, event.name, event.arguments)]
        return began + self.tool_answered(event.call_id, NOT_AVAILABLE, now)

    def tool_answered(self, call_id: str, output: str, now: float) -> list[Command]:
        """The answer to `RunTool`."""
        answer = self._tools.answer(call_id, output, self.speech.session)
        if answer is None:
            return []
        use, events = answer
        self._history.tool(use)
        commands = [Record(tool_notice(use, self._clock.unix_ms(now))), *self._prompts.to_session(events)]
        return commands + self._after_tools(now)

    def _after_tools(self, now: float) -> list[Command]:
        if not self._prompts.ready:
            if self._tools.drop_answer():
                self._owed.tool_answered(now)
        elif not self._responses.active and self._tools.response_due():
            self._owed.tool_answered(now)
        return []
