"""The functions that the agent calls: they run, the caller waits, and the agent gets their results."""

from __future__ import annotations

from typing import Final

from agent_relay.core.announcements.announcer import Announcer
from agent_relay.core.dialog.agent_speech import AgentSpeech
from agent_relay.core.dialog.caller_speech import CallerSpeech
from agent_relay.core.dialog.conversation_commands import Command, Record, RunTool, WallClock
from agent_relay.core.dialog.debt import DebtKind, State
from agent_relay.core.dialog.history import (
    RUNNING,
    TOOL_BEGUN,
    TOOL_CALL,
    TOOL_LATE,
    TOOL_RESULT,
    History,
    ToolUse,
    late_text,
    tool_notice,
)
from agent_relay.core.dialog.interim import Interim
from agent_relay.core.dialog.mcp_turns import McpReport, McpTurns
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.tool_calls import NOT_AVAILABLE, STILL_RUNNING, ToolCalls
from agent_relay.core.dialog.typed_digits import TypedDigits
from agent_relay.core.protocol.voice_events import FunctionCall, create_message

RETURNED: Final = "All tools have returned. Answer the caller now with their results."


class ToolTurns:
    """The function calls of one phone call. A late function is answered with `STILL_RUNNING`: the agent continues, and
    gets the result as a message when nobody speaks.
    """

    def __init__(
        self,
        profile: SessionProfile,
        history: History,
        prompts: Prompts,
        clock: WallClock,
        caller: CallerSpeech,
        speech: AgentSpeech,
        announcements: Announcer,
    ) -> None:
        self.interim = Interim(profile.interim, profile.say_forms, prompts.responses, speech, profile.limits)
        self._profile = profile
        self._history = history
        self._prompts = prompts
        self._owed = prompts.owed
        self._clock = clock
        self._caller = caller
        self._speech = speech
        self._announcements = announcements
        self._calls = ToolCalls()
        self.mcp = McpTurns(profile, history, prompts, clock, speech, self._calls)
        self._results: list[ToolUse] = []
        """Late results that the agent has not received yet."""

    # -- state
    @property
    def running(self) -> bool:
        return self._calls.running

    @property
    def awaited(self) -> bool:
        """Whether the caller waits for a function, or for the response to its result."""
        debt = self._owed.debt
        answers = debt is not None and (debt.chained or debt.kind is DebtKind.TOOL_RESULT)
        return self._calls.running or (answers and self._owed.unheard)

    @property
    def filled_in(self) -> bool:
        """Whether the caller waits for a function and has heard the agent meanwhile."""
        return self.awaited and self.interim.spoken

    @property
    def result_pending(self) -> bool:
        """Whether the agent has continued without the result of a function and has not received it yet."""
        return self._calls.late or bool(self._results)

    def running_for(self, response_id: str) -> bool:
        """Return whether a function that this response called has not returned."""
        return self._calls.running_for(response_id)

    def called_in(self, response_id: str) -> bool:
        return self._calls.called_in(response_id)

    # -- time
    def next_at(self) -> float | None:
        interim_at = self.interim.next_at() if self._may_speak or self.interim.pending else None
        times = (interim_at, self._calls.late_at, self.mcp.next_at())
        return min((at for at in times if at is not None), default=None)

    def tick(self, now: float) -> list[Command]:
        self.mcp.tick(now)
        late = self._calls.take_late(now)
        return [one for call_id in late for one in self._answer(call_id, STILL_RUNNING, now, notice=TOOL_LATE)]

    def advance(self, now: float, *, closing: bool) -> list[Command]:
        """Pass a late result to the agent once nobody speaks, or speak a phrase if the caller has waited in silence.
        Call it after every event. `closing`: the call is about to end.
        """
        free = self._may_speak and not closing and self._prompts.responses.idle
        if self._results and free and self._owed.debt is None and self._speech.quiet:
            return self._pass_results(now)
        commands = self.interim.advance(
            now,
            waits=self._calls.running,
            awaited=self.awaited,
            late=self._calls.late,
            caller_speaks=self._caller.speaks,
            free=free,
        )
        self.settle(now)  # a phrase that did not end delayed the response to the results
        return commands

    @property
    def _may_speak(self) -> bool:
        debt = self._owed.debt
        due = debt is not None and (debt.state is State.OPEN or (debt.state is State.AWAITED and not debt.requested))
        return self._prompts.ready and not self._caller.speaks and not due and self._announcements.quiet

    def _pass_results(self, now: float) -> list[Command]:
        results, self._results = self._results, []
        for use in results:
            self._history.late_result(use)
        self._owed.owe(DebtKind.TOOL_RESULT, now)
        return self._prompts.to_session([create_message("user", late_text(use)) for use in results])

    # -- calls and results
    def called(self, event: FunctionCall, now: float) -> list[Command]:
        if event.name in self._profile.tools:
            return self.run(event, self._speech.session, now)
        return self.refuse(event, self._speech.session, NOT_AVAILABLE, now)

    def run(self, event: FunctionCall, session: int, now: float, typed: TypedDigits | None = None) -> list[Command]:
        """`session`: the one that called the function. `typed`: digits of the caller, which no record contains."""
        if typed is not None:
            self.interim.caller_typed(now)
        equal = "" if typed is not None else self._calls.equal(event)
        late_after_s = None if equal else self._profile.late_after_s.get(event.name)
        self._begin(event, session, now, None if late_after_s is None else now + late_after_s)
        if self._calls.is_late(equal):
            return self._answer(event.call_id, STILL_RUNNING, now)
        if equal:
            self._calls.join(event.call_id, equal)
            return []
        # Recorded before it runs: the next relay must not run it again.
        return [
            self.begun(event, RUNNING, now),
            RunTool(event.call_id, event.name, event.arguments, typed),
        ]

    def refuse(self, event: FunctionCall, session: int, output: str, now: float) -> list[Command]:
        self._begin(event, session, now)
        return self._answer(event.call_id, output, now)

    def begun(self, event: FunctionCall, state: str, now: float) -> Command:
        """`state`: `RUNNING` or `AWAITS_KEYS`, for the next relay if this one dies before the function returns."""
        return self._record(TOOL_BEGUN, ToolUse(event.call_id, event.name, event.arguments, state), now)

    def _begin(self, event: FunctionCall, session: int, now: float, late_at: float | None = None) -> None:
        self._calls.begin(event, session, late_at)
        self._owed.called_tool(event.response_id, now)

    def action_called(self, event: FunctionCall, output: str, now: float, *, answered: bool) -> list[Command]:
        """Answer a function call at once. `answered`: the response itself contains all speech, so no further response
        is requested.
        """
        self._calls.begin(event, self._speech.session)
        if not answered:
            self._owed.called_tool(event.response_id, now)
        commands = self._answer(event.call_id, output, now)
        if answered:
            self._calls.drop_answer()
        return commands

    def returned(self, call_id: str, output: str, now: float, *, last: bool = False) -> list[Command]:
        """Handle the result of a function. `last`: the agent has said goodbye, so it does not report the result."""
        if not self._calls.is_late(call_id):
            return self._answer(call_id, output, now, last=last)
        use = self._calls.late_result(call_id, output)
        self._results += [] if last else [use]
        return [self._record(TOOL_RESULT, use, now)]

    def mcp_reported(self, event: McpReport, now: float) -> list[Command]:
        before = self._calls.running
        commands = self.mcp.reported(event, now)
        if before and not self._calls.running and self.interim.spoken:
            # After a message of its own, a model would assume that it has answered already.
            commands += self._prompts.to_session([create_message("system", RETURNED)])
        self.settle(now)
        return commands

    def _answer(
        self, call_id: str, output: str, now: float, *, last: bool = False, notice: str = TOOL_CALL
    ) -> list[Command]:
        answer = self._calls.answer(call_id, output, self._speech.session)
        if answer is None:
            return []
        use, events = answer
        self._history.tool(use)
        commands = [self._record(notice, use, now), *self._prompts.to_session(events)]
        for equal in self._calls.joined(call_id):
            commands += self._answer(equal, output, now, last=last)
        if last and self._calls.drop_answer():
            self._owed.taken_back()
        self.settle(now)
        return commands

    def _record(self, what: str, use: ToolUse, now: float) -> Command:
        return Record(tool_notice(what, use, self._clock.unix_ms(now)))

    def drop_answer(self) -> None:
        """Request no response to the results so far, because the caller has interrupted it."""
        self._calls.drop_answer()

    def settle(self, now: float) -> None:
        """Request the response to the results once all functions have returned and the calling response has ended."""
        if not self._prompts.ready:
            if self._calls.drop_answer():
                self._owed.tool_answered(now)
        elif not self._prompts.responses.active and self._calls.response_due():
            self._owed.tool_answered(now)

    def session_lost(self, now: float) -> None:
        self.interim.session_lost()
        lost = self.mcp.session_lost()
        if self._calls.drop_answer() and (lost or not self._owed.unheard):
            self._owed.tool_answered(now)
