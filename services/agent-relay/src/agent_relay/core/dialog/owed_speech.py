"""Tracks the speech that is owed to the caller until it is heard. Pure: `now` is monotonic seconds.

The caller's words, a greeting, keys and a tool's result each create a debt of audible speech. There is one debt at a
time: a later debt covers the earlier one, because the agent answers the conversation as a whole. A debt ends when audio
of its response was played, when the caller speaks, or when it is given up. Until then, each missed limit and each
failure moves it one step, never back:

    FIRST ──► AGAIN ──► FALLBACK ──► GIVEN_UP
    (asked)   (once)    (its text)   (human agents, or the recorded apology)

If the model is over its quota, the request is repeated on the same session after the time that the error states. That
is no step.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from agent_relay.core.dialog.debt import Debt, DebtKind, DebtStep, Limits, Missed, State

MOST_FALLBACKS: Final = 3
"""After this many consecutive fallbacks without an answer the call is given up."""
MOST_NOISES: Final = 3
"""Requests for one debt that a noise may cancel."""
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 10.0
"""If a quota error states no time, the wait doubles from the first to the longest."""
_NOISE: Final = "a noise interrupted it"
_NEXT: Final = {DebtStep.FIRST: DebtStep.AGAIN, DebtStep.AGAIN: DebtStep.FALLBACK, DebtStep.FALLBACK: DebtStep.GIVEN_UP}


class OwedSpeech:
    """`repeats_greeting`: a greeting that was cut off is spoken again as a whole."""

    def __init__(self, limits: Limits, *, repeats_greeting: bool = False) -> None:
        self.debt: Debt | None = None
        self._limits = limits
        self._repeats_greeting = repeats_greeting
        self._greeting_id = ""
        """The latest response that greets."""
        self._late = 0
        """Responses that did not begin in time, and may still begin beside those that were requested instead."""
        self._kept: Debt | None = None
        """The debt to restore if the caller's speech turns out to be a noise."""
        self._cut = False
        """The caller's speech cleared audio that was not heard to its end."""
        self._speaking = False
        self._fallbacks = 0

    @property
    def unheard(self) -> bool:
        """The caller waits, and no audio to be played has arrived yet."""
        return self.debt is not None and self.debt.state not in (State.SOUNDING, State.HEARD)

    @property
    def expected(self) -> bool:
        """The service is expected to act on the debt now."""
        debt = self.debt
        return debt is not None and debt.state in (State.AWAITED, State.WORKING) and debt.start_s is None

    @property
    def due_at(self) -> float | None:
        """When `tick` has something to do; None while nothing is owed."""
        return None if self.debt is None else self.debt.due_at(self._limits)

    # -- what is owed
    def owe(
        self,
        kind: DebtKind,
        now: float,
        *,
        awaited: bool = False,
        item_id: str = "",
        step: DebtStep = DebtStep.FIRST,
        start_s: float | None = None,
    ) -> None:
        """`awaited`: the service is expected to respond by itself."""
        state = State.AWAITED if awaited else State.OPEN
        debt = Debt(kind, now, item_id, step, state, since=now, attempt_at=now, start_s=start_s)
        if self._speaking:
            self._kept = debt
        else:
            self.debt = debt

    def ready(self, now: float) -> None:
        """A voice session is ready again: the time limit of a debt that could not be requested starts over."""
        if self.debt is not None and self.debt.state is State.OPEN:
            self.debt.since = now

    def resumed(self, now: float) -> None:
        """The caller can hear again: all time limits start over."""
        if self.debt is not None:
            self.debt.since = self.debt.attempt_at = now

    # -- the service
    def asked(self, now: float) -> None:
        if (debt := self.debt) is not None:
            if not debt.chained:
                debt.attempt_at = now
            debt.state, debt.since, debt.requested = State.AWAITED, now, True

    def bounced(self, now: float, active: str) -> None:
        """The request was refused because another response is active: repeat it when that one has ended."""
        debt = self.debt
        if debt is None or debt.state is not State.AWAITED:
            return
        if debt.kind is DebtKind.GREETING and active and debt.step is not DebtStep.FALLBACK:
            self._attach(debt, active, now)  # the caller hears the agent: no greeting is needed
        else:
            debt.state, debt.since = State.OPEN, now

    def began(self, response_id: str, now: float) -> None:
        debt = self.debt
        if debt is not None and debt.state in (State.OPEN, State.AWAITED, State.PUT_OFF, State.WORKING):
            self._attach(debt, response_id, now)

    def sounded(self, response_id: str, now: float) -> None:
        debt = self.debt
        if debt is not None and debt.response_id == response_id:
            if debt.state is State.WORKING:
                debt.state = State.SOUNDING
            debt.since, debt.item_done = now, False

    def item_done(self, response_id: str) -> None:
        debt = self.debt
        if debt is not None and debt.response_id == response_id:
            debt.item_done = True

    def is_surplus(self, *, requested: bool) -> bool:
        """Whether a response that begins now answers what another response has answered already."""
        if requested or not self._late or self.unheard:
            return False
        self._late -= 1
        return True

    @property
    def over_at(self) -> float | None:
        """When the response of the debt counts as ended although its end is not reported."""
        return None if self.debt is None else self.debt.over_at(self._limits)

    def called_tool(self, response_id: str, now: float) -> None:
        """The owed speech follows in the response to the tool's result."""
        debt = self.debt
        if debt is not None and debt.response_id == response_id:
            debt.chained = True
            debt.since = now
        elif debt is None:
            self.owe(DebtKind.TOOL_RESULT, now)
            if (debt := self.debt) is not None:
                self._attach(debt, response_id, now)
                debt.chained = True

    def tool_answered(self, now: float) -> None:
        """The response to the tool's result is owed."""
        debt = self.debt
        if debt is None or not debt.chained or debt.state in (State.SOUNDING, State.HEARD):
            self.owe(DebtKind.TOOL_RESULT, now)
        elif debt.state is State.WORKING:
            debt.state, debt.since = State.OPEN, now

    def ended(self, response_id: str) -> None:
        """The response has ended successfully, with audio."""
        debt = self.debt
        if debt is None or debt.response_id != response_id:
            return
        debt.complete = True
        if debt.state is State.HEARD:
            self.debt = None

    def failed(
        self, response_id: str, why: str, now: float, *, wait_s: float | None = None, text: str = ""
    ) -> Missed | None:
        """The response ended without the owed speech, or the request was refused (`response_id` is "").

        `wait_s`: how long the model is over its quota, 0 if unknown. `text`: the text that the model wrote instead.
        """
        debt = self.debt
        if debt is None:
            return None
        of_another = response_id and debt.response_id != response_id
        if of_another and (wait_s is None or debt.state not in (State.OPEN, State.AWAITED)):
            return None  # a quota error of another response applies to this debt too
        if debt.wordless and not debt.requested:
            self.debt = None  # an answer to a noise
            return self._restored(now)
        if debt.state in (State.SOUNDING, State.HEARD):
            # Part of the answer was heard or may be: from now on its rest is owed.
            debt = self._owe_rest(response_id, now, debt)
        if wait_s is not None:
            return self._put_off(debt, why, wait_s, now)
        debt.text = text
        return self._escalate(debt, why, now)

    def lost(self, response_id: str, now: float) -> Missed | None:
        """The voice session was lost. `response_id`: the agent's response that was active, "" if none."""
        debt = self.debt = self._kept if self._speaking else self.debt
        self._speaking = False
        self._kept, self._cut, self._late = None, False, 0
        if debt is None or debt.state in (State.SOUNDING, State.HEARD):
            if response_id and (debt is None or debt.response_id == response_id):
                # Cut off in mid-sentence.
                rest = self._owe_rest(response_id, now, debt)
                rest.step = DebtStep.AGAIN if rest.step is DebtStep.FIRST else DebtStep.FALLBACK
                return Missed(rest.kind, rest.step, "the voice session was lost")
            return None
        if debt.state is State.WORKING and debt.chained and not response_id:
            return None  # its tool is still running
        if debt.state in (State.AWAITED, State.WORKING):
            return self._escalate(debt, "the voice session was lost", now)
        return None  # a quota is the model's, and holds for the next session

    def fall_back(self, now: float) -> None:
        """Skip to the fallback text: the next voice session cannot know what the caller said."""
        if (debt := self.debt) is not None and debt.step in (DebtStep.FIRST, DebtStep.AGAIN):
            debt.step, debt.state, debt.since = DebtStep.FALLBACK, State.OPEN, now

    def rest_lost(self, cut: Collection[str], now: float) -> Missed:
        """The media socket was lost while the caller heard these responses."""
        kind = DebtKind.GREETING if self._repeats_greeting and self._greeting_id in cut else DebtKind.REST
        self.owe(kind, now)
        return Missed(kind, DebtStep.FIRST, "the media socket was lost", resumes=True)

    def _owe_rest(self, response_id: str, now: float, debt: Debt | None) -> Debt:
        """Of a response that was cut off. It is the same debt as far as its steps go."""
        step, moved = (debt.step, debt.moved) if debt is not None else (DebtStep.FIRST, False)
        repeats = self._repeats_greeting and response_id == self._greeting_id
        kind = DebtKind.GREETING if repeats else DebtKind.REST
        rest = self.debt = Debt(kind, now, step=step, since=now, attempt_at=now, moved=moved)
        return rest

    # -- the caller
    def heard(self, response_id: str, *, active: bool, now: float) -> bool:
        """The first audio of the response was played. Whether it pays the debt."""
        if self._kept is not None and self._kept.response_id == response_id:
            self._kept = None
        debt = self.debt
        if debt is None or not response_id or debt.response_id != response_id or debt.state is State.HEARD:
            return False
        self._fallbacks = self._fallbacks + 1 if debt.step is DebtStep.FALLBACK else 0
        if active and debt.step is not DebtStep.FALLBACK:
            debt.state, debt.since = State.HEARD, now
        else:
            self.debt = None
        return True

    def queued(self, now: float) -> None:
        """Other audio is still being played before the audio of this debt."""
        if self.debt is not None and self.debt.state is State.SOUNDING:
            self.debt.since = now

    def never_heard(self, response_id: str, now: float) -> Missed | None:
        """The audio was lost before the caller heard it."""
        debt = self.debt
        if debt is None or debt.response_id != response_id or debt.state is not State.SOUNDING:
            return None
        return self._escalate(debt, "the audio was never played", now)

    def caller_began(self) -> None:
        """The caller speaks: the debt is suspended, and restored if the speech was a noise."""
        self._speaking = True
        self._late = 0
        self._keep()

    def cut_off(self) -> None:
        """The audio that the caller was hearing was cleared."""
        self._cut = True

    def caller_ended(self, item_id: str, now: float, *, awaited: bool) -> None:
        """`awaited`: the service is expected to answer by itself. It counts as words until a transcript is empty."""
        self._speaking = False
        self._keep()  # its beginning may not have been reported
        self.owe(DebtKind.WORDS, now, awaited=awaited, item_id=item_id)

    def words_confirmed(self) -> None:
        """The caller said words: the answer to them covers the suspended debt."""
        self._kept, self._cut = None, False

    def no_words(self, item_id: str, now: float, resume: Callable[[str], bool] = lambda _: False) -> Missed | None:
        """The caller's speech was a noise: no answer is owed, but the speech that it cancelled is.

        `resume`: whether a response was not cancelled by it, and is heard from now on.
        """
        kept, debt = self._kept, self.debt
        if kept is not None and kept.kind is DebtKind.WORDS and kept.item_id == item_id and not kept.response_id:
            self._kept = None
        if debt is None or debt.kind is not DebtKind.WORDS or debt.item_id != item_id:
            return None
        if debt.state is State.AWAITED and not debt.requested:
            self.debt = None
            return self._restored(now, resume)
        debt.wordless = True
        return None

    def taken_back(self) -> None:
        """The caller no longer wants the owed speech."""
        self.debt = None
        self._kept, self._cut = None, False

    def replaced(self) -> None:
        """The response that answers the debt was cancelled for an announcement: its rest is not wanted any more."""
        if self.debt is not None and self.debt.state in (State.WORKING, State.SOUNDING, State.HEARD):
            self.taken_back()

    # -- time
    def tick(self, now: float) -> Missed | None:
        due_at, debt = self.due_at, self.debt
        if debt is None or due_at is None or now < due_at:
            return None
        match debt.state:
            case State.PUT_OFF:
                debt.state, debt.since = State.OPEN, now
                return None
            case State.AWAITED if not debt.requested:
                self._late += 1
                return self._escalate(debt, "the service began no response", now)
            case State.AWAITED:
                missed = self._escalate(debt, "the request was not answered", now, stuck=True)
                self._late += not missed.move
                return missed
            case State.WORKING:
                return self._escalate(debt, "no audio in time", now, stuck=True)
            case State.SOUNDING:
                return self._escalate(debt, "the audio was never played", now, stuck=not debt.complete)
            case State.HEARD:
                rest = self._owe_rest(debt.response_id, now, debt)
                return self._escalate(rest, "the response stalled", now, stuck=True)
            case _:
                return self._escalate(debt, "another response did not end", now, stuck=True)

    # --
    def _attach(self, debt: Debt, response_id: str, now: float) -> None:
        debt.response_id = response_id
        debt.state, debt.since = State.WORKING, now
        if debt.kind is DebtKind.GREETING and debt.step is not DebtStep.FALLBACK:
            self._greeting_id = response_id

    def _keep(self) -> None:
        """Suspend the debt, in case the caller's speech is a noise."""
        debt, self.debt = self.debt, None
        if debt is None:
            return
        unsure = debt.kind is DebtKind.WORDS and not debt.requested and not debt.response_id
        if self._kept is None or not unsure:
            self._kept = debt

    def _restored(self, now: float, resume: Callable[[str], bool] = lambda _: False) -> Missed | None:
        if self._speaking:
            return None  # whether that is a noise is not known yet
        kept, cut = self._kept, self._cut
        self._kept, self._cut = None, False
        if kept is None:
            if not cut:
                return None
            self.owe(DebtKind.REST, now)
            return Missed(DebtKind.REST, DebtStep.FIRST, _NOISE, resumes=True)
        if kept.state is State.HEARD:
            kept = self._owe_rest(kept.response_id, now, kept)
        self.debt = kept
        if kept.state is State.PUT_OFF or (kept.response_id and resume(kept.response_id)):
            return None
        return self._after_noise(kept, now)

    def _after_noise(self, debt: Debt, now: float) -> Missed:
        """Its response was cancelled: request it again, but on a noisy line neither for ever nor again and again."""
        debt.noises += 1
        if debt.noises > MOST_NOISES or now > debt.opened_at + self._limits.patience_s:
            if debt.step is DebtStep.FIRST:
                debt.step = DebtStep.AGAIN
            return self._escalate(debt, "noises keep interrupting it", now)
        debt.reopen(debt.step, now)
        return Missed(debt.kind, debt.step, _NOISE, resumes=True)

    def _put_off(self, debt: Debt, why: str, wait_s: float, now: float) -> Missed:
        wait_s = wait_s or min(FIRST_WAIT_S * 2**debt.waits, LONGEST_WAIT_S)
        debt.waits += 1
        if debt.step is not DebtStep.FALLBACK and now + wait_s <= debt.opened_at + self._limits.patience_s:
            debt.state, debt.since, debt.retry_at = State.PUT_OFF, now, now + wait_s
            debt.response_id = ""
            return Missed(debt.kind, debt.step, why, wait_s=wait_s)
        if debt.step is DebtStep.FIRST:
            debt.step = DebtStep.AGAIN  # a repeated request would fail the same way
        return self._escalate(debt, why, now)

    def _escalate(self, debt: Debt, why: str, now: float, *, stuck: bool = False) -> Missed:
        step = _NEXT[debt.step]
        if step is DebtStep.FALLBACK and self._fallbacks >= MOST_FALLBACKS:
            step = DebtStep.GIVEN_UP
        move = stuck and not debt.moved and not debt.waits and step is not DebtStep.GIVEN_UP
        missed = Missed(debt.kind, step, why, stuck, move)
        debt.reopen(step, now)
        debt.moved = debt.moved or move
        if step is DebtStep.GIVEN_UP:
            self.debt = None
        return missed
