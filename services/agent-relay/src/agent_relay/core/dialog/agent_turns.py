"""The turns of the agent: its responses from their first event to their end, and the functions that they call."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from agent_relay.core.announcements.announcer import Announcer
from agent_relay.core.dialog.agent_speech import AgentSpeech
from agent_relay.core.dialog.call_limits import CallLimits, shortened
from agent_relay.core.dialog.caller_speech import CallerSpeech
from agent_relay.core.dialog.caller_turns import CallerTurns
from agent_relay.core.dialog.conversation_commands import Command, Send, WallClock
from agent_relay.core.dialog.debt import DebtKind
from agent_relay.core.dialog.history import AWAITS_KEYS
from agent_relay.core.dialog.hold_policy import PATIENCE_S
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.responses import UNKNOWN, Purpose, RecentEvents
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.tool_turns import ToolTurns
from agent_relay.core.dialog.typed_digits import TypedDigits
from agent_relay.core.protocol.voice_events import (
    AudioDelta,
    FunctionCall,
    McpApproval,
    McpCall,
    ResponseDone,
    cancel_response,
)

AUDIBLE_MS: Final = 100
"""A response with less audio counts as silent."""
CUT_SHORT_MS: Final = 1500
"""An incomplete response with less audio counts as failed."""


class AgentTurns:
    def __init__(
        self,
        profile: SessionProfile,
        prompts: Prompts,
        clock: WallClock,
        caller: CallerSpeech,
        turns: CallerTurns,
        speech: AgentSpeech,
        announcements: Announcer,
        tools: ToolTurns,
    ) -> None:
        self._profile = profile
        self._prompts = prompts
        self._owed = prompts.owed
        self._responses = prompts.responses
        self._clock = clock
        self._caller = caller
        self._caller_turns = turns
        self._speech = speech
        self._announcements = announcements
        self._tools = tools
        self._written = ("", "")
        """The latest response with text: its id, and the text of its last part, spoken or not."""
        self._reported = RecentEvents()
        """Responses for which `response.created` has arrived. For others, only audio or a function call has arrived."""
        self._begun = RecentEvents()
        self._ended = RecentEvents()
        self._calls = RecentEvents()
        self._limits = CallLimits(self._profile.actions)
        self._keyed: dict[str, bool | None] = {}
        """Responses that called a function which waits for keys: whether the agent spoke in them; None: not ended."""
        self._sign_at = 0.0
        """When the agent last sent audio or called a function, or when a response became due."""

    @property
    def waits_since(self) -> float | None:
        """Since when the caller waits for the agent's audio; None while no response is due."""
        if self._caller.speaks or not self._prompts.ready:
            return None
        if self._owed.unheard and (debt := self._owed.debt) is not None:
            # For a tool's result, the caller has waited since the tool was called.
            return self._sign_at if debt.kind is DebtKind.TOOL_RESULT else max(self._sign_at, debt.opened_at)
        due = not self._responses.idle or self._tools.running
        return max(self._sign_at, self._responses.asked_at) if due else None

    @property
    def tone_at(self) -> float | None:
        """When the hold tone is due; None while the caller does not wait."""
        since = self.waits_since
        if since is not None and self._tools.awaited:
            return self._tools.interim.tone_at
        return None if since is None else since + PATIENCE_S

    def session_lost(self) -> None:
        self._reported, self._begun, self._ended = RecentEvents(), RecentEvents(), RecentEvents()
        self._limits = CallLimits(self._profile.actions)
        self._keyed = {response_id: bool(spoke) for response_id, spoke in self._keyed.items()}

    # -- the beginning of a response
    def delta(self, event: AudioDelta, now: float) -> list[Command]:
        self._sign_at = now
        began: list[Command] = []
        if event.pcm:
            began = self._began_unreported(event.response_id, now)
            self._owed.sounded(event.response_id, now)
        return began + self._speech.delta(event, now, answers=self._responses.purpose.answers)

    def _began_unreported(self, response_id: str, now: float) -> list[Command]:
        """Handle a response whose first event is audio or a function call, because `response.created` may arrive late
        or never.
        """
        return self.created(response_id, now) if response_id != self._responses.active else []

    def reported(self, response_id: str, now: float) -> list[Command]:
        """Handle `response.created`. If the service reuses the id of an ended response, another response begins."""
        if not self._reported.is_new(response_id) and self._ended.forget(response_id):
            self._begun.forget(response_id)
        return self.created(response_id, now)

    def created(self, response_id: str, now: float) -> list[Command]:
        if not self._begun.is_new(response_id):
            return []
        if self.waits_since is None:
            self._sign_at = now
        self._responses.created(response_id)
        if self._responses.purpose is Purpose.SAY:
            return self._announcements.unwanted(response_id)
        if self._responses.purpose is Purpose.INTERIM:
            return self._cancel(response_id) if self._caller.speaks else []
        if self._responses.requested and self._announcements.override_request:
            self._owed.began(response_id, now)
            self._owed.replaced()
            return self._cancel(response_id)
        requested = self._responses.requested
        # Also cancel it if the caller began to speak between the request and the response.
        if self._owed.is_surplus(requested=requested) or (self._caller.speaks and requested):
            return self._cancel(response_id)
        self._caller_turns.answer_began(now)
        self._owed.began(response_id, now, greets=self._responses.purpose is Purpose.GREETING)
        return self._caller_turns.confirm_words(now)

    def unwanted(self, response_id: str) -> list[Command]:
        """Cancel a response that begins, and that the caller is not to hear."""
        self._begun.is_new(response_id)
        self._responses.created(response_id)
        return self._cancel(response_id)

    def _cancel(self, response_id: str) -> list[Command]:
        self._speech.drop(response_id)
        return [Send(cancel_response(response_id))]

    def wrote(self, response_id: str, text: str) -> None:
        self._written = (response_id, text)

    # -- the end of a response
    def cancel_active(self) -> list[Command]:
        active = self._responses.forget()
        return self._cancel(active) if active else []

    def withdraw(self, response_id: str, why: str, now: float) -> list[Command]:
        """Cancel a response that the caller must not hear, and request another."""
        commands = self.cancel_active() if response_id == self._responses.active else []
        commands += self._speech.interrupt(response_id)
        if self._owed.debt is None:
            self._owed.owe(DebtKind.REST, now)
        return commands + self._prompts.missed(self._owed.failed("", why, now), now)

    @property
    def over_at(self) -> float | None:
        """When the active response counts as ended although the service has not reported its end."""
        debt = self._owed.debt
        if debt is None or self._tools.running or debt.response_id != self._responses.active:
            return None
        return debt.over_at(self._profile.limits)

    def tick(self, now: float) -> list[Command]:
        if (over_at := self.over_at) is None or now < over_at or self._responses.active in ("", UNKNOWN):
            return []
        return self.done(ResponseDone(self._responses.active, "completed", ""), now)

    def done(self, event: ResponseDone, now: float) -> list[Command]:
        response_id = event.response_id
        if not self._ended.is_new(response_id):
            return []
        self._limits.response_done(response_id)
        self._begun.is_new(response_id)  # later events of this response do not begin it again
        interrupted = self._speech.dropped(response_id)
        spoken_ms = self._speech.spoken_ms(response_id)
        silent = spoken_ms < AUDIBLE_MS and not self._tools.called_in(response_id)
        if response_id in self._keyed:
            self._keyed[response_id], silent = spoken_ms >= AUDIBLE_MS, False
        announced = self._responses.is_active_for(Purpose.SAY, response_id)
        interim = self._responses.is_active_for(Purpose.INTERIM, response_id)
        commands: list[Command] = []
        if event.status == "cancelled":
            if not interim:
                self._tools.drop_answer()
            detected = event.reason == "turn_detected" and self._profile.interrupts
            if detected and not interrupted and not self._caller_turns.protects_greeting:
                commands += self._caller_turns.interrupt(response_id) + self._announcements.interrupted(now)
        commands += self._speech.response_done(response_id)
        self._responses.done(response_id)
        if announced:
            commands += self._announcements.response_done(event, now, silent=silent)
        elif not interrupted and not interim:
            cut = event.status == "incomplete" and spoken_ms < CUT_SHORT_MS
            cut = cut or (event.status == "cancelled" and self._caller_turns.protects_greeting)
            commands += self._outcome(event, now, silent=silent, cut=cut)
        self._tools.settle(now)
        return commands

    def _outcome(self, event: ResponseDone, now: float, *, silent: bool, cut: bool) -> list[Command]:
        """Handle the end of a response that was not interrupted. `silent`: it had no audio and called no tool; `cut`:
        it ended so early that it counts as failed.
        """
        failed = cut or event.status == "failed" or (silent and event.status != "cancelled")
        if event.status == "cancelled" and silent and not self._caller.speaks:
            failed = True
        why = event.reason or ("no audio" if event.status == "completed" else event.status)
        commands: list[Command] = []
        if event.status in ("failed", "incomplete"):
            commands.append(self._clock.notice("response_failed", why, now))
        if not failed:
            self._owed.ended(event.response_id)
            return commands
        text = self._written[1] if event.status == "completed" and self._written[0] == event.response_id else ""
        return commands + self._prompts.response_failed(event, why, now, text=text.strip())

    # -- functions
    def refused(self, event: FunctionCall, now: float) -> list[Command] | None:
        """Answer a function call that must not run. Return None for one that may run."""
        interrupted = self._speech.dropped(event.response_id)
        fault = self._limits.fault(event, interrupted=interrupted)
        if not fault:
            return None
        stored = replace(event, arguments=shortened(event.arguments))
        return self.action_called(stored, fault, now, answered=interrupted)

    def function_call(self, event: FunctionCall, now: float) -> list[Command]:
        return self._called(event, now) + self._tools.called(event, now) if self._calls.is_new(event.call_id) else []

    def mcp_called(self, event: McpCall | McpApproval, now: float) -> list[Command]:
        """Handle a call that the service makes itself, or asks about."""
        if not self._calls.is_new(event.item_id):
            return []
        self._sign_at = now
        response_id = event.response_id or self._responses.active
        began = self._began_unreported(response_id, now) if response_id else []
        mcp = self._tools.mcp
        if isinstance(event, McpCall):
            return began + mcp.called(event, response_id, now)
        commands = mcp.asked(event, response_id, now)
        self._tools.settle(now)
        return began + commands

    # -- functions that wait for the caller's keys
    @property
    def session(self) -> int:
        """Number of the voice session."""
        return self._speech.session

    def await_keys(self, event: FunctionCall, now: float) -> list[Command] | None:
        """Handle a function call that waits for the caller's keys. `run_tool` or `refuse_tool` follows. Return None if
        the call is known already.
        """
        if not self._calls.is_new(event.call_id):
            return None
        began = self._called(event, now)
        self._speech.caller_typed()
        self._keyed = {event.response_id: None}
        return [*began, self._tools.begun(event, AWAITS_KEYS, now)]

    def spoke_before_keys(self, event: FunctionCall) -> bool | None:
        """Return whether the agent spoke in the response that called the function; None if it has not ended."""
        spoke = self._keyed.get(event.response_id, False)
        return False if spoke is None and self._responses.active != event.response_id else spoke

    def run_tool(self, event: FunctionCall, session: int, now: float, typed: TypedDigits) -> list[Command]:
        """`session`: the one that called the function."""
        self._sign_at = now
        return self._tools.run(event, session, now, typed)

    def refuse_tool(self, event: FunctionCall, session: int, output: str, now: float) -> list[Command]:
        self._sign_at = now
        return self._tools.refuse(event, session, output, now)

    def action_called(self, event: FunctionCall, output: str, now: float, *, answered: bool = False) -> list[Command]:
        """Answer a function call at once. `answered`: the response itself contains all speech, so no further response
        is requested.
        """
        if not self._calls.is_new(event.call_id):
            return []
        return self._called(event, now) + self._tools.action_called(event, output, now, answered=answered)

    def _called(self, event: FunctionCall, now: float) -> list[Command]:
        self._sign_at = now
        return self._began_unreported(event.response_id, now)
