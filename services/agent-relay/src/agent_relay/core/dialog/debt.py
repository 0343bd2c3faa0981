"""A debt: speech that is owed to the caller. Its kind, its state, and the step that follows if it is not heard."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class DebtKind(StrEnum):
    GREETING = "greeting"
    WORDS = "words"
    KEYS = "keys"
    TOOL_RESULT = "tool_result"
    REST = "rest"
    """The rest of an answer that was cut off by a lost session, a failure, or a noise taken for speech."""


class DebtStep(StrEnum):
    FIRST = "first"
    AGAIN = "asked_again"
    FALLBACK = "fallback"
    GIVEN_UP = "given_up"


class State(Enum):
    OPEN = auto()
    """Not requested yet: there is no voice session, another response is active, or the caller speaks."""
    AWAITED = auto()
    """Requested by us, or the service is expected to respond by itself."""
    PUT_OFF = auto()
    """The model is over its quota; the request is repeated later."""
    WORKING = auto()
    """`response.created` has arrived, audio has not."""
    SOUNDING = auto()
    """Audio has arrived and is not played yet."""
    HEARD = auto()
    """Its first audio was played; the response continues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    start_s: float = 5.0
    """From a request to `response.created`."""
    patience_s: float = 60.0
    """From a request to the first audio, tools included, while the service is alive."""
    fallback_s: float = 10.0
    """From the request for the fallback text to its first audio."""


@dataclass(slots=True)
class Debt:
    kind: DebtKind
    opened_at: float
    item_id: str = ""
    """WORDS: the item of the caller's speech."""
    step: DebtStep = DebtStep.FIRST
    state: State = State.OPEN
    since: float = 0.0
    """When the state was entered; SOUNDING and HEARD: the latest progress."""
    attempt_at: float = 0.0
    """When the current step was requested."""
    start_s: float | None = None
    """Overrides `Limits.start_s`."""
    response_id: str = ""
    requested: bool = False
    """By the relay; otherwise the service began to respond by itself."""
    item_done: bool = False
    """HEARD: the latest item is complete."""
    noises: int = 0
    """How often a noise cancelled its response."""
    complete: bool = False
    """The response has ended; its audio is still to be played."""
    chained: bool = False
    """The response called a tool: the next response belongs to the same attempt."""
    wordless: bool = False
    """WORDS: the transcript turned out to be empty."""
    moved: bool = False
    """A voice session was abandoned because of this debt."""
    waits: int = 0
    """How often the request was put off because of a quota."""
    text: str = ""
    """Text that the agent wrote instead of speaking it; it is to be spoken unchanged."""
    retry_at: float = 0.0

    def due_at(self, limits: Limits) -> float:
        """When the current state has lasted too long."""
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
        """When its response counts as ended without `response.done`: all items are heard, or it called a tool."""
        heard_out = self.state is State.HEARD and self.item_done
        called = self.state is State.WORKING and self.chained
        return self.since + limits.start_s if heard_out or called else None

    @property
    def expected(self) -> bool:
        """The service is expected to act on it now."""
        return self.state in (State.AWAITED, State.WORKING) and self.start_s is None

    @property
    def overdue(self) -> tuple[str, bool]:
        """Why the state has lasted too long, and whether an unfinished request or response blocks the session."""
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
        """The speech was requested."""
        if not self.chained:
            self.attempt_at = now
        self.state, self.since, self.requested = State.AWAITED, now, True

    def attach(self, response_id: str, now: float) -> None:
        """A response to the debt begins."""
        self.response_id, self.state, self.since = response_id, State.WORKING, now

    def sounded(self, now: float) -> None:
        """Audio of its response has arrived."""
        if self.state is State.WORKING:
            self.state = State.SOUNDING
        self.since, self.item_done = now, False

    def rest(self, kind: DebtKind, now: float) -> Debt:
        """The debt for the rest of a response that was cut off. It continues with the same step."""
        return Debt(kind, now, step=self.step, since=now, attempt_at=now, moved=self.moved)

    def reopen(self, step: DebtStep, now: float) -> None:
        """Request the speech again, with the full time limit of the step."""
        self.step, self.state, self.since, self.attempt_at = step, State.OPEN, now, now
        self.response_id, self.requested, self.chained = "", False, False
        self.complete = self.item_done = False


@dataclass(frozen=True, slots=True)
class Missed:
    """Owed speech was not heard in time, or its response failed; `step` follows.

    `wait_s` is set while a quota is exceeded: the step does not change. `stuck`: an unanswered request or an
    unfinished response blocks the session until it is cancelled.
    """

    kind: DebtKind
    step: DebtStep
    why: str
    stuck: bool = False
    move: bool = False
    """`stuck`, and the voice session is to be replaced."""
    wait_s: float | None = None
    resumes: bool = False
    """Nothing failed: speech that was interrupted by a noise or a lost media socket is resumed."""

    @property
    def outcome(self) -> str:
        """The next step, for logs and metrics."""
        if self.resumes:
            return "resumed"
        return "put_off" if self.wait_s is not None else str(self.step)
