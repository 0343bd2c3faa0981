"""A pending response (`Debt`): agent speech that the caller must still hear. Its kind, its state, and the step that
follows if it is not heard.

Each missed time limit and each failure moves a pending response one step, never back:

    FIRST ──► AGAIN ──► FALLBACK ──► GIVEN_UP
    (request) (repeat)  (its text)   (human agents, or the recorded apology)

If the model is rate limited, the request is repeated on the same session after the time that the error states. This
does not count as a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

MOST_FALLBACKS: Final = 3
"""After this many consecutive fallback texts without an answer, the agent is given up."""
MOST_NOISES: Final = 3
"""Number of requests for one pending response that noise may cancel."""
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 10.0
"""Longest wait. If a rate-limit error states no time, the wait doubles from `FIRST_WAIT_S` up to this value."""
NOISE: Final = "interrupted by noise"


class DebtKind(StrEnum):
    GREETING = "greeting"
    WORDS = "words"
    KEYS = "keys"
    TOOL_RESULT = "tool_result"
    REST = "rest"
    """The rest of an answer that was cut off by a lost session, a failure, or noise taken for speech."""
    RETURN = "return"
    """The caller is back from a transfer."""


class DebtStep(StrEnum):
    FIRST = "first"
    AGAIN = "asked_again"
    FALLBACK = "fallback"
    GIVEN_UP = "given_up"


class State(Enum):
    OPEN = auto()
    """Not requested yet: there is no voice session, another response is active, or the caller speaks."""
    AWAITED = auto()
    """Requested by the relay, or the service is expected to respond without a request."""
    PUT_OFF = auto()
    """The model is rate limited; the request is repeated later."""
    WORKING = auto()
    """`response.created` has arrived, audio has not."""
    SOUNDING = auto()
    """Audio has arrived but was not played yet."""
    HEARD = auto()
    """Its first audio was played; the response continues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    start_s: float = 5.0
    """Longest time from a request to `response.created`."""
    patience_s: float = 60.0
    """Longest time from a request to the first audio, tools included, while the service is alive."""
    fallback_s: float = 10.0
    """Longest time from the request for the fallback text to its first audio."""
    hold_after_s: float = 0.5
    """Time from the loss of the voice session to the hold tone."""


@dataclass(slots=True)
class Debt:
    kind: DebtKind
    opened_at: float
    item_id: str = ""
    """For WORDS: item id of the caller's speech."""
    step: DebtStep = DebtStep.FIRST
    state: State = State.OPEN
    since: float = 0.0
    """When the state was entered; for SOUNDING and HEARD: the latest progress."""
    attempt_at: float = 0.0
    """When the current step was requested."""
    start_s: float | None = None
    """Time limit until `response.created`, if it differs from `Limits.start_s`."""
    response_id: str = ""
    requested: bool = False
    """Whether the relay requested it; otherwise the service responds without a request."""
    item_done: bool = False
    """For HEARD: whether the latest item is complete."""
    noises: int = 0
    """How often noise canceled its response."""
    complete: bool = False
    """Whether the response has ended while its audio is still being played."""
    chained: bool = False
    """Whether the response called a tool, so that the next response belongs to the same attempt."""
    wordless: bool = False
    """For WORDS: whether the transcript turned out to be empty."""
    moved: bool = False
    """Whether a voice session was abandoned because this response was not heard."""
    waits: int = 0
    """How often the request was postponed because of a rate limit."""
    text: str = ""
    """Text that the agent wrote instead of speaking it; it is to be spoken unchanged."""
    retry_at: float = 0.0

    def due_at(self, limits: Limits) -> float:
        falls_back = self.step is DebtStep.FALLBACK
        match self.state:
            case State.PUT_OFF:
                return self.retry_at
            case State.AWAITED:
                return self.since + (limits.fallback_s if falls_back else self.start_s or limits.start_s)
            case State.WORKING:
                return self.attempt_at + (limits.fallback_s if falls_back else limits.patience_s)
            case _:
                return self.since + limits.patience_s

    def over_at(self, limits: Limits) -> float | None:
        """Return when its response counts as ended without `response.done`: all items were heard, or it called
        a tool.
        """
        heard_out = self.state is State.HEARD and self.item_done
        called = self.state is State.WORKING and self.chained
        return self.since + limits.start_s if heard_out or called else None

    @property
    def overdue(self) -> tuple[str, bool]:
        """Explanation why the state has lasted too long, and whether an unanswered request or unfinished response
        blocks the session.
        """
        match self.state:
            case State.AWAITED if not self.requested:
                return "the service began no response", False
            case State.AWAITED:
                return "the request was not answered", True
            case State.WORKING:
                return "no audio in time", True
            case State.SOUNDING:
                return "the audio was never played", not self.complete
            case State.HEARD:
                return "the response stalled", True
            case _:
                return "another response did not end", True

    def ask(self, now: float) -> None:
        if not self.chained:
            self.attempt_at = now
        self.state, self.since, self.requested = State.AWAITED, now, True

    def attach(self, response_id: str, now: float) -> None:
        self.response_id, self.state, self.since = response_id, State.WORKING, now

    def sounded(self, now: float) -> None:
        if self.state is State.WORKING:
            self.state = State.SOUNDING
        self.since, self.item_done = now, False

    def rest(self, kind: DebtKind, now: float) -> Debt:
        """Return a pending response for the rest of one that was cut off. It continues with the same step."""
        return Debt(kind, now, step=self.step, since=now, attempt_at=now, moved=self.moved)

    def reopen(self, step: DebtStep, now: float) -> None:
        """Request the speech again, with the full time limit of the step."""
        self.step, self.state, self.since, self.attempt_at = step, State.OPEN, now, now
        self.response_id, self.requested, self.chained = "", False, False
        self.complete = self.item_done = False


@dataclass(frozen=True, slots=True)
class Missed:
    """The outcome if a pending response was not heard in time, or failed; `step` follows.

    `wait_s` is set while the model is rate limited; the step does not change then. `stuck`: an unanswered request or an
    unfinished response blocks the session until it is canceled.
    """

    kind: DebtKind
    step: DebtStep
    why: str
    stuck: bool = False
    move: bool = False
    """Whether the voice session is to be replaced, because it is `stuck`."""
    wait_s: float | None = None
    resumes: bool = False
    """Whether speech is only resumed after noise or a lost media socket, so that nothing has failed."""

    @property
    def outcome(self) -> str:
        """The next step as text, for logs and metrics."""
        if self.resumes:
            return "resumed"
        return "put_off" if self.wait_s is not None else str(self.step)


_NEXT: Final = {DebtStep.FIRST: DebtStep.AGAIN, DebtStep.AGAIN: DebtStep.FALLBACK, DebtStep.FALLBACK: DebtStep.GIVEN_UP}


class Escalation:
    """Moves a pending response that was not heard to its next step. The caller of these methods drops one that is given
    up.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._fallbacks = 0

    def paid(self, debt: Debt) -> None:
        self._fallbacks = self._fallbacks + 1 if debt.step is DebtStep.FALLBACK else 0

    def next_step(self, debt: Debt, why: str, now: float, *, stuck: bool = False) -> Missed:
        step = _NEXT[debt.step]
        if step is DebtStep.FALLBACK and self._fallbacks >= MOST_FALLBACKS:
            step = DebtStep.GIVEN_UP
        move = stuck and not debt.moved and not debt.waits and step is not DebtStep.GIVEN_UP
        missed = Missed(debt.kind, step, why, stuck, move)
        debt.reopen(step, now)
        debt.moved = debt.moved or move
        return missed

    def over_quota(self, debt: Debt, why: str, wait_s: float, now: float) -> Missed:
        """Postpone the request because of a rate limit. `wait_s`: seconds until the model accepts requests again, 0 if
        unknown.
        """
        wait_s = wait_s or min(FIRST_WAIT_S * 2**debt.waits, LONGEST_WAIT_S)
        debt.waits += 1
        if debt.step is not DebtStep.FALLBACK and now + wait_s <= debt.opened_at + self._limits.patience_s:
            debt.state, debt.since, debt.retry_at = State.PUT_OFF, now, now + wait_s
            debt.response_id = ""
            return Missed(debt.kind, debt.step, why, wait_s=wait_s)
        return self._fall_back(debt, why, now)

    def after_noise(self, debt: Debt, now: float) -> Missed:
        """Request the response again after noise canceled it. On a noisy line this is limited by `MOST_NOISES`."""
        debt.noises += 1
        if debt.noises > MOST_NOISES or now > debt.opened_at + self._limits.patience_s:
            return self._fall_back(debt, "repeatedly interrupted by noise", now)
        debt.reopen(debt.step, now)
        return Missed(debt.kind, debt.step, NOISE, resumes=True)

    def _fall_back(self, debt: Debt, why: str, now: float) -> Missed:
        """Move to the fallback text, because a repeated request would fail the same way."""
        if debt.step is DebtStep.FIRST:
            debt.step = DebtStep.AGAIN
        return self.next_step(debt, why, now)


class SuspendedDebt:
    """The pending response that the caller's speech suspends: restored if the speech was noise, dropped if it had
    words.
    """

    def __init__(self) -> None:
        self.caller_speaks = False
        self._debt: Debt | None = None
        self._cut = False

    def suspend(self, debt: Debt | None, *, caller_speaks: bool) -> None:
        """Suspend a pending response. A response to words that may be noise does not replace an older one."""
        self.caller_speaks = caller_speaks
        if debt is None:
            return
        unsure = debt.kind is DebtKind.WORDS and not debt.requested and not debt.response_id
        if self._debt is None or not unsure:
            self._debt = debt

    def replace(self, debt: Debt) -> None:
        """Replace the suspended response by a new one that is created while the caller speaks."""
        self._debt = debt

    def cut_off(self) -> None:
        self._cut = True

    def heard(self, response_id: str) -> None:
        """Drop the suspended response if it is this one, because its first audio was played."""
        if self._debt is not None and self._debt.response_id == response_id:
            self._debt = None

    def no_words(self, item_id: str) -> None:
        """Drop the suspended answer to this speech item, because the speech was only noise."""
        debt = self._debt
        if debt is not None and debt.kind is DebtKind.WORDS and debt.item_id == item_id and not debt.response_id:
            self._debt = None

    def stays_owed(self, item_id: str) -> bool:
        """Return whether a failed transcription leaves the answer to this speech pending: the speech may have been
        words, and it interrupted nothing that could be resumed instead.
        """
        return not self._cut and (self._debt is None or self._debt.item_id == item_id)

    def take(self) -> tuple[Debt | None, bool]:
        """Remove and return the suspended response, and whether audio was cleared."""
        taken = self._debt, self._cut
        self.forget()
        return taken

    def forget(self) -> None:
        self._debt, self._cut = None, False

    def session_lost(self, debt: Debt | None) -> Debt | None:
        """Return the response that the next voice session must complete. `debt`: the current one."""
        if self.caller_speaks:
            debt = self._debt
        self.forget()
        self.caller_speaks = False
        return debt
