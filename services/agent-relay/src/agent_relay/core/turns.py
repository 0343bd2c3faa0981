"""The turns of a conversation: what a voice session that is ready tells of the caller's says and the agent's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agent_relay.core import voice_live as vl
from agent_relay.core.agent_speech import AgentSpeech
from agent_relay.core.announcements import Announcements
from agent_relay.core.caller_speech import CallerSpeech
from agent_relay.core.commands import Command, Record, RunTool
from agent_relay.core.history import History, tool_begun, tool_notice
from agent_relay.core.plan import Plan
from agent_relay.core.prompts import Prompts, sends
from agent_relay.core.recent import Recent
from agent_relay.core.responses import Purpose
from agent_relay.core.tool_calls import NOT_AVAILABLE, ToolCalls
from agent_relay.core.wall_clock import WallClock
from bridge_common.entries import Saying

GRACE_S: Final = 1.5
"""After another relay: how long a caller's say may take to be heard anew before its text is answered."""

ANSWER_DUE_S: Final = 3.0
"""Texts of others wait for the answer to the caller's say, but not longer: it may have been a cough."""


class Turns:
    """`saying`: what another relay let the agent say, and what of it was heard is not known yet; `said`: how far it
    came with texts of others."""

    def __init__(
        self,
        plan: Plan,
        history: History,
        prompts: Prompts,
        clock: WallClock,
        saying: Iterable[Saying] = (),
        *,
        said: str = "",
        taken_over: bool = False,
    ) -> None:
        self.speech = AgentSpeech(history, truncates=plan.truncates, unix_ms=clock.unix_ms)
        self.caller = CallerSpeech(history, unix_ms=clock.unix_ms)
        self._plan = plan
        self._history = history
        self._prompts = prompts
        self._responses = prompts.responses
        self._clock = clock
        self._caller_ended_at = 0.0
        self._tools = ToolCalls()
        self._begun = Recent()
        self._ended = Recent()
        self._calls = Recent()
        self._saying = tuple(saying)
        self._left_unanswered = taken_over and history.awaits_answer
        self._ask_at: float | None = None
        self._sign_at = 0.0
        """When the agent was heard last, or something became due of it."""
        self.announcements = Announcements(
            plan.say_forms, plan.language, prompts.responses, self.speech, clock, said=said
        )

    def begin(self, now: float) -> None:
        for one in self._saying:
            self.speech.adopt(one, self._clock.monotonic(one.at_ms))

    @property
    def waits_since(self) -> float | None:
        """Since when the agent should be heard and is not; None while nothing is due of it."""
        due = not self._responses.idle or bool(self.caller.unanswered) or self._tools.running
        return max(self._sign_at, self._responses.asked_at) if due and not self.caller.speaks else None

    @property
    def next_at(self) -> float | None:
        """When `tick` has something to do."""
        times = [self._ask_at if self._prompts.ready else None, self.speech.next_at]
        return min((at for at in times if at is not None), default=None)

    def tick(self, now: float) -> list[Command]:
        commands = self.speech.tick(now)
        if self._prompts.ready and self._ask_at is not None and now >= self._ask_at:
            self._ask_at = None
            commands += self._prompts.ask(now)
        return commands

    def voice_event(self, event: vl.ServerEvent, now: float) -> list[Command]:
        match event:
            case vl.AudioDelta():
                self._sign_at = now
                self._prompts.audio_began()
                return self.speech.delta(event, now, answers=self._responses.purpose is not Purpose.SAY)
            case vl.ItemDone():
                return self.speech.item_done(event)
            case vl.AgentTranscriptDelta() | vl.AgentTranscriptDone():
                whole, part = isinstance(event, vl.AgentTranscriptDone), event.content_index
                return self.speech.text(
                    event.item_id, event.response_id, event.text, now, whole=whole, content_index=part
                )
            case vl.SpeechStarted():
                return self._speech_started(event, now)
            case vl.SpeechStopped():
                if not self.caller.stopped(event.item_id, now):
                    return []
                self._sign_at = now
                self.speech.speech_end_at = self._caller_ended_at = now
                self._prompts.caller_spoke()
                return []
            case vl.UserTranscript() | vl.UserTranscriptFailed():
                return self.caller.told(event, now)
            case vl.ResponseCreated():
                if not self._begun.is_new(event.response_id):
                    return []
                if self.waits_since is None:
                    self._sign_at = now
                self._responses.created(event.response_id)
                if self._responses.purpose is not Purpose.SAY:
                    self._ask_at = None
                    self.caller.unanswered = ""
                return self.announcements.unwanted(event.response_id)
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
                return self._prompts.refused(event, now) + self.announcements.refused(now)
            case _:
                return []

    # -- whose turn it is
    @property
    def answer_due_at(self) -> float | None:
        """When an answer to the caller's last say is no longer waited for; None when there is none to wait for."""
        if self._ask_at is not None:
            return self._ask_at
        return self._caller_ended_at + ANSWER_DUE_S if self.caller.unanswered else None

    def caller_comes_first(self, now: float) -> bool:
        due_at = self.answer_due_at
        return self.caller.speaks or (due_at is not None and now < due_at)

    # -- the voice session
    def session_lost(self) -> list[Command]:
        commands = self.speech.session_lost()
        self._begun, self._ended = Recent(), Recent()
        self.announcements.session_lost()
        prompts = self._prompts
        prompts.session_lost()
        prompts.owes_answer = prompts.owes_answer or bool(self.caller.unanswered) or self._tools.drop_answer()
        self.caller.speaks = False
        return commands

    def pay_owed(self, now: float) -> list[Command]:
        """Ask for what the lost session did not say any more."""
        if self._left_unanswered:
            # The service may hear the caller's last words again, from us, and answer them by itself.
            self._left_unanswered = False
            self._ask_at = now + GRACE_S
        commands = self._prompts.greet_if_owed(now)
        if self._prompts.take_owed():
            unanswered = self.caller.take_unanswered()
            unknown = unanswered and self._plan.replays and not self._history.text_of(unanswered)
            commands += self._prompts.apologize(now) if unknown else self._prompts.ask(now)
        return commands

    # -- turns
    def _speech_started(self, event: vl.SpeechStarted, now: float) -> list[Command]:
        if not self.caller.started(event.item_id, now):
            return []
        self._ask_at = None
        return self._interrupt(self._responses.active, now) if self._plan.interrupts else []

    def _interrupt(self, response_id: str, now: float) -> list[Command]:
        return self.speech.interrupt(response_id) + self.announcements.interrupted(now)

    def _response_done(self, event: vl.ResponseDone, now: float) -> list[Command]:
        interrupted = self.speech.dropped(event.response_id)
        empty = not self.speech.spoke(event.response_id) and not self._tools.called_in(event.response_id)
        commands: list[Command] = []
        if event.status == "cancelled":
            self._tools.drop_answer()
            if event.reason == "turn_detected" and self._plan.interrupts and not interrupted:
                commands += self._interrupt(event.response_id, now)
        commands += self.speech.response_done(event.response_id)
        announced = self._responses.is_active_for(Purpose.SAY, event.response_id)
        commands += sends(self._responses.done(event.response_id, now))
        if announced:
            commands += self.announcements.response_done(event.response_id, event.status, now, empty=empty)
        elif event.status == "completed":
            self._prompts.succeeded()
        elif not interrupted and (event.status == "failed" or (event.status == "incomplete" and empty)):
            commands.append(self._clock.notice("response_failed", event.reason or event.status, now))
            commands += self._prompts.failed(now)
        return commands + self._ask_after_tools(now)

    # -- functions
    def _function_call(self, event: vl.FunctionCall, now: float) -> list[Command]:
        if not self._calls.is_new(event.call_id):
            return []
        self._sign_at = now
        self._tools.begin(event, self.speech.session)
        if event.name in self._plan.tools:
            # Written down before: a relay after us must not do it again.
            begun = tool_begun(event.call_id, event.name, event.arguments, self._clock.unix_ms(now))
            return [Record(begun), RunTool(event.call_id, event.name, event.arguments)]
        return self.tool_answered(event.call_id, NOT_AVAILABLE, now)

    def tool_answered(self, call_id: str, output: str, now: float) -> list[Command]:
        """The answer to `RunTool`."""
        answer = self._tools.answer(call_id, output, self.speech.session)
        if answer is None:
            return []
        use, events = answer
        self._history.tool(use)
        commands = [Record(tool_notice(use, self._clock.unix_ms(now))), *self._prompts.to_session(events)]
        return commands + self._ask_after_tools(now)

    def _ask_after_tools(self, now: float) -> list[Command]:
        if not self._prompts.ready:
            self._tools.drop_answer()
            return []
        return self._prompts.ask(now) if not self._responses.active and self._tools.response_due() else []
