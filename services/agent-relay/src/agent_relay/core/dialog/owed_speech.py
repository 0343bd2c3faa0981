"""Tracks the pending response: agent speech that the caller must still hear. No I/O; `now` is monotonic seconds.

The caller's words, a greeting, keys and a tool's result each create a pending response (`Debt`). There is one at a
time: a later one replaces the earlier one, because the agent answers the conversation as a whole. It ends when audio of
its response was played, when the caller speaks, or when it is given up (`Escalation`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from agent_relay.core.dialog.debt import (
    NOISE,
    Debt,
    DebtKind,
    DebtStep,
    Escalation,
    Limits,
    Missed,
    State,
    SuspendedDebt,
)


class OwedSpeech:
    """The pending response of one call. `repeats_greeting`: a greeting that was cut off is spoken again as a whole."""

    def __init__(self, limits: Limits, *, repeats_greeting: bool = False) -> None:
        self.debt: Debt | None = None
        self._limits = limits
        self._repeats_greeting = repeats_greeting
        self.greeting_id = ""
        """Id of the latest response that greets the caller, "" if there was none."""
        self._late = 0
        """Number of responses that did not begin in time and may still begin, in addition to their replacements."""
        self.suspended = SuspendedDebt()
        self._escalation = Escalation(limits)

    @property
    def unheard(self) -> bool:
        """Whether the caller waits for a response of which no audio has arrived yet."""
        return self.debt is not None and self.debt.state not in (State.SOUNDING, State.HEARD)

    @property
    def expected(self) -> bool:
        """Whether the service is expected to work on the pending response now."""
        debt = self.debt
        return debt is not None and debt.state in (State.AWAITED, State.WORKING) and debt.start_s is None

    @property
    def due_at(self) -> float | None:
        return None if self.debt is None else self.debt.due_at(self._limits)

    # -- creating pending responses
    def owe(
        self, kind: DebtKind, now: float, *, awaited: bool = False, item_id: str = "", start_s: float | None = None
    ) -> None:
        """Create a pending response. `awaited`: the service is expected to respond without a request."""
        state = State.AWAITED if awaited else State.OPEN
        debt = Debt(kind, now, item_id, state=state, since=now, attempt_at=now, start_s=start_s)
        if self.suspended.caller_speaks:
            self.suspended.replace(debt)
        else:
            self.debt = debt

    def ready(self, now: float) -> None:
        """A voice session is ready again: restart the time limit of a response that could not be requested without
        one.
        """
        if (debt := self.debt) is not None and debt.state is State.OPEN:
            debt.since = now

    def resumed(self, now: float) -> None:
        """Restart all time limits, because the caller can hear the agent again."""
        if (debt := self.debt) is not None:
            debt.since = debt.attempt_at = now

    # -- the service
    def asked(self, now: float) -> None:
        if self.debt is not None:
            self.debt.ask(now)

    def bounced(self, now: float, active: str) -> None:
        """Handle a request that was rejected because another response is active: repeat it after that response has
        ended.
        """
        debt = self.debt
        if debt is not None and debt.state is State.AWAITED:
            if debt.kind is DebtKind.GREETING and active and debt.step is not DebtStep.FALLBACK:
                self._attach(debt, active, now)  # the caller hears the agent: no greeting is needed
            else:
                debt.state, debt.since = State.OPEN, now

    def began(self, response_id: str, now: float, *, greets: bool = False) -> None:
        """Handle the beginning of a response. `greets`: it was requested as a greeting."""
        self.greeting_id = response_id if greets else self.greeting_id
        debt = self.debt
        if debt is not None and debt.state in (State.OPEN, State.AWAITED, State.PUT_OFF, State.WORKING):
            self._attach(debt, response_id, now)

    def sounded(self, response_id: str, now: float) -> None:
        if (debt := self._of(response_id)) is not None:
            debt.sounded(now)

    def item_done(self, response_id: str) -> None:
        if (debt := self._of(response_id)) is not None:
            debt.item_done = True

    def is_surplus(self, *, requested: bool) -> bool:
        """Return whether a response that begins now repeats an answer that another response has already given."""
        if requested or not self._late or self.unheard:
            return False
        self._late -= 1
        return True

    def called_tool(self, response_id: str, now: float) -> None:
        """Handle a response that calls a tool: the speech follows in the response to the tool's result."""
        nothing_owed = self.debt is None
        if (debt := self._of(response_id)) is not None:
            debt.chained, debt.since = True, now
        elif nothing_owed:
            self.owe(DebtKind.TOOL_RESULT, now)
            if (debt := self.debt) is not None:
                self._attach(debt, response_id, now)
                debt.chained = True

    def tool_answered(self, now: float) -> None:
        debt = self.debt
        if debt is None or not debt.chained or debt.state in (State.SOUNDING, State.HEARD):
            self.owe(DebtKind.TOOL_RESULT, now)
        elif debt.state is State.WORKING:
            debt.state, debt.since = State.OPEN, now

    def ended(self, response_id: str) -> None:
        if (debt := self._of(response_id)) is not None:
            debt.complete = True
            if debt.state is State.HEARD:
                self.debt = None

    def failed(
        self, response_id: str, why: str, now: float, *, wait_s: float | None = None, text: str = ""
    ) -> Missed | None:
        """Handle a response that ended without the expected speech, or a request that was rejected (`response_id` is
        "").

        `wait_s`: seconds until the rate limit of the model ends, 0 if unknown; None without a rate limit. `text`: the
        text that the model wrote instead of speaking it.
        """
        debt = self.debt
        if debt is None:
            return None
        of_another = response_id and debt.response_id != response_id
        if of_another and (wait_s is None or debt.state not in (State.OPEN, State.AWAITED)):
            return None  # a rate limit of another response applies to this one too
        if debt.wordless and not debt.requested:
            self.debt = None  # an answer to noise
            return self._restored(now)
        if debt.state in (State.SOUNDING, State.HEARD):
            debt = self._owe_rest(response_id, now, debt)  # the caller hears, or may hear, part of the answer
        if wait_s is not None:
            return self._follow(self._escalation.over_quota(debt, why, wait_s, now))
        debt.text = text
        return self._follow(self._escalation.next_step(debt, why, now))

    def lost(self, response_id: str, now: float) -> Missed | None:
        """Handle the loss of the voice session. `response_id`: the agent's active response, "" if there was none."""
        debt = self.debt = self.suspended.session_lost(self.debt)
        self._late = 0
        if debt is None or debt.state in (State.SOUNDING, State.HEARD):
            if response_id and (debt is None or debt.response_id == response_id):
                rest = self._owe_rest(response_id, now, debt)
                rest.step = DebtStep.AGAIN if rest.step is DebtStep.FIRST else DebtStep.FALLBACK
                return Missed(rest.kind, rest.step, "the voice session was lost")
            return None
        if debt.state is State.WORKING and debt.chained and not response_id:
            return None  # its tool is still running
        if debt.state in (State.AWAITED, State.WORKING):
            return self._follow(self._escalation.next_step(debt, "the voice session was lost", now))
        return None  # a rate limit belongs to the model and also applies to the next session

    def fall_back(self, now: float) -> None:
        if (debt := self.debt) is not None and debt.step in (DebtStep.FIRST, DebtStep.AGAIN):
            debt.step, debt.state, debt.since = DebtStep.FALLBACK, State.OPEN, now

    def rest_lost(self, cut: Collection[str], now: float) -> Missed:
        kind = self._kind_of_rest(cut)
        self.owe(kind, now)
        return Missed(kind, DebtStep.FIRST, "the media socket was lost", resumes=True)

    def _owe_rest(self, response_id: str, now: float, debt: Debt | None) -> Debt:
        """Create a pending response for the rest of one that was cut off. It continues with the same step."""
        rest = (debt or Debt(DebtKind.REST, now)).rest(self._kind_of_rest((response_id,)), now)
        self.debt = rest
        return rest

    def _kind_of_rest(self, cut: Collection[str]) -> DebtKind:
        return DebtKind.GREETING if self._repeats_greeting and self.greeting_id in cut else DebtKind.REST

    # -- the caller
    def heard(self, response_id: str, *, active: bool, now: float) -> bool:
        """Handle the first played audio of the response. Return whether the pending response was heard."""
        self.suspended.heard(response_id)
        debt = self._of(response_id)
        if debt is None or not response_id or debt.state is State.HEARD:
            return False
        self._escalation.paid(debt)
        if active and debt.step is not DebtStep.FALLBACK:
            debt.state, debt.since = State.HEARD, now
        else:
            self.debt = None
        return True

    def queued(self, now: float) -> None:
        """Extend the time limit, because other audio is still being played before the pending response."""
        if (debt := self.debt) is not None and debt.state is State.SOUNDING:
            debt.since = now

    def never_heard(self, response_id: str, now: float) -> Missed | None:
        debt = self._of(response_id)
        if debt is None or debt.state is not State.SOUNDING:
            return None
        return self._follow(self._escalation.next_step(debt, "the audio was never played", now))

    def caller_began(self) -> None:
        """Suspend the pending response, because the caller speaks. It is restored if the speech was only noise."""
        self.suspended.suspend(self.debt, caller_speaks=True)
        self.debt, self._late = None, 0

    def caller_ended(self, item_id: str, now: float, *, awaited: bool) -> None:
        """Create the pending response to the caller's words. `awaited`: the service is expected to answer without a
        request. Speech counts as words until its transcript turns out to be empty.
        """
        self.suspended.suspend(self.debt, caller_speaks=False)  # the beginning of the speech may not have been reported
        self.debt = None
        self.owe(DebtKind.WORDS, now, awaited=awaited, item_id=item_id)

    def no_words(self, item_id: str, now: float, resume: Callable[[str], bool] = lambda _: False) -> Missed | None:
        """Restore the response that the caller's speech interrupted, because that speech was only noise. `resume` plays
        a response that the service did not cancel; it returns False if that is not possible.
        """
        self.suspended.no_words(item_id)
        debt = self.debt
        if debt is None or debt.kind is not DebtKind.WORDS or debt.item_id != item_id:
            return None
        if debt.state is State.AWAITED and not debt.requested:
            self.debt = None
            return self._restored(now, resume)
        debt.wordless = True
        return None

    def taken_back(self) -> None:
        """Cancel the pending response, because the caller no longer wants it."""
        self.debt = None
        self.suspended.forget()

    def dropped(self) -> None:
        """Cancel the pending response and forget the caller's speech, because the agent no longer talks with the
        caller.
        """
        self.suspended.session_lost(None)
        self.debt = None

    def replaced(self) -> None:
        """Cancel the pending response if it is in progress, because an announcement replaces it."""
        if self.debt is not None and self.debt.state in (State.WORKING, State.SOUNDING, State.HEARD):
            self.taken_back()

    # -- time
    def tick(self, now: float) -> Missed | None:
        debt = self.debt
        if debt is None or now < debt.due_at(self._limits):
            return None
        if debt.state is State.PUT_OFF:
            debt.state, debt.since = State.OPEN, now
            return None
        (why, stuck), awaited = debt.overdue, debt.state is State.AWAITED
        if debt.state is State.HEARD:
            debt = self._owe_rest(debt.response_id, now, debt)
        missed = self._follow(self._escalation.next_step(debt, why, now, stuck=stuck))
        self._late += awaited and not missed.move
        return missed

    def _of(self, response_id: str) -> Debt | None:
        """Return the pending response if `response_id` is its response."""
        return self.debt if self.debt is not None and self.debt.response_id == response_id else None

    def _attach(self, debt: Debt, response_id: str, now: float) -> None:
        debt.attach(response_id, now)
        if debt.kind is DebtKind.GREETING and debt.step is not DebtStep.FALLBACK:
            self.greeting_id = response_id

    def _restored(self, now: float, resume: Callable[[str], bool] = lambda _: False) -> Missed | None:
        if self.suspended.caller_speaks:
            return None  # the current speech may be noise as well
        kept, cut = self.suspended.take()
        if kept is None:
            if not cut:
                return None
            self.owe(DebtKind.REST, now)
            return Missed(DebtKind.REST, DebtStep.FIRST, NOISE, resumes=True)
        if kept.state is State.HEARD:
            kept = self._owe_rest(kept.response_id, now, kept)
        self.debt = kept
        if kept.state is State.PUT_OFF or (kept.response_id and resume(kept.response_id)):
            return None
        return self._follow(self._escalation.after_noise(kept, now))

    def _follow(self, missed: Missed) -> Missed:
        self.debt = None if missed.step is DebtStep.GIVEN_UP else self.debt
        return missed
