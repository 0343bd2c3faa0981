"""The turns of a conversation: events of a ready voice session about the speech of the caller and of the agent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agent_relay.core.announcements.announcer import Announcer
from agent_relay.core.dialog.agent_speech import AgentSpeech
from agent_relay.core.dialog.agent_turns import AgentTurns
from agent_relay.core.dialog.caller_speech import CallerSpeech
from agent_relay.core.dialog.caller_turns import CallerTurns
from agent_relay.core.dialog.conversation_commands import Command
from agent_relay.core.dialog.debt import DebtKind
from agent_relay.core.dialog.gateway_reports import GatewayReports
from agent_relay.core.dialog.history import History
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.response_outcomes import ResponseOutcomes
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.wall_clock import WallClock
from agent_relay.core.protocol import voice_events as vl
from bridge_common.wire.entries import Saying

GRACE_S: Final = 1.5
"""After another relay: how long the caller's speech may take to be heard again before its text is answered."""


class Turns:
    """`saying`: what another relay let the agent say, if it is not known how much of it was heard. `said`: how far it
    spoke the announcements.
    """

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
        self._plan = plan
        self._history = history
        self._prompts = prompts
        self._owed = prompts.owed
        self._clock = clock
        self._saying = tuple(saying)
        self._left_owing: DebtKind | None = None
        if taken_over and history.awaits_answer:
            self._left_owing = DebtKind.WORDS
        elif taken_over and greeted and history.empty and plan.greeting is not None:
            self._left_owing = DebtKind.GREETING  # a relay marked it and died before it spoke
        self.speech = AgentSpeech(history, truncates=plan.truncates, unix_ms=clock.unix_ms)
        self.caller = CallerSpeech(history, unix_ms=clock.unix_ms)
        self._outcomes = ResponseOutcomes(prompts, self.speech, self.caller, clock)
        self.announcements = Announcer(
            plan.say_forms, plan.language, prompts.responses, self.speech, clock, limits=plan.limits, said=said
        )
        self.of_caller = CallerTurns(plan, prompts, self.caller, self.speech, self.announcements, self._outcomes)
        self.of_agent = AgentTurns(
            plan, history, prompts, clock, self.caller, self.of_caller, self.speech, self.announcements, self._outcomes
        )
        self.gateway = GatewayReports(prompts, self.speech, self._outcomes, self.announcements)

    def begin(self, now: float) -> None:
        for one in self._saying:
            self.speech.adopt(one, self._clock.monotonic(one.at_ms))

    @property
    def next_at(self) -> float | None:
        """When `tick` has something to do."""
        times = [self.speech.next_at]
        if self._counts:
            times += [self._owed.due_at, self.caller.over_at, self.of_agent.over_at]
        return min((at for at in times if at is not None), default=None)

    @property
    def _counts(self) -> bool:
        """Time limits count: the agent could be heard now."""
        return self._prompts.ready and not self.gateway.media_away

    def tick(self, now: float) -> list[Command]:
        commands = self.speech.tick(now) + self.gateway.never_heard(now)
        if self._counts:
            self.of_caller.tick(now)
            if self.speech.plays:
                self._owed.queued(now)
            commands += self.of_agent.tick(now)
            commands += self._outcomes.missed(self._owed.tick(now), now)
        return commands

    def advance(self, now: float) -> list[Command]:
        """Request the owed speech if the caller can hear it now and does not speak."""
        return [] if self.caller.speaks or self.gateway.media_away else self._prompts.advance(now)

    def voice_event(self, event: vl.ServerEvent, now: float) -> list[Command]:
        match event:
            case vl.AudioDelta():
                return self.of_agent.delta(event, now)
            case vl.ItemDone():
                self._owed.item_done(event.response_id)
                return self.speech.item_done(event)
            case vl.AgentTextDone():
                self._outcomes.wrote(event.response_id, event.text)
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
            case vl.Truncated():
                self.speech.truncated(event.item_id)
                return []
            case vl.ErrorEvent():
                if (instead := self.speech.truncation_refused(event)) is not None:
                    return instead
                return self._prompts.refused(event, now) + self.announcements.refused(event, now)
            case _:
                return []

    def _agent_text(self, event: vl.AgentTranscriptDelta | vl.AgentTranscriptDone, now: float) -> list[Command]:
        whole, part = isinstance(event, vl.AgentTranscriptDone), event.content_index
        if whole:
            self._outcomes.wrote(event.response_id, event.text)
        return self.speech.text(event.item_id, event.response_id, event.text, now, whole=whole, content_index=part)

    # -- the voice session
    def session_lost(self, now: float) -> list[Command]:
        commands = self.speech.session_lost()
        self.announcements.session_lost()
        commands += self.of_caller.session_lost(now)
        self.of_agent.session_lost(now)
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
