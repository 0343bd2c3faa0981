"""One debt of audible speech to the caller: its kind, how far it has come, and what follows when it is not paid."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto


class Kind(StrEnum):
    GREETING = "greeting"
    WORDS = "words"
    KEYS = "keys"
    TOOL_RESULT = "tool_result"
    REST = "rest"
    """Of an answer that was cut off: by a lost session, a failure, or a noise taken for speech."""


class Step(StrEnum):
    FIRST = "first"
    AGAIN = "asked_again"
    FALLBACK = "fallback"
    GIVEN_UP = "given_up"


class State(Enum):
    OPEN = auto()
    """Not asked for yet: the session is away, another response is active, or the caller speaks."""
    AWAITED = auto()
    """Requested by us, or expected of the service by itself."""
    PUT_OFF = auto()
    """The model is over its quota."""
    WORKING = auto()
    """`response.created` came, but no sound."""
    SOUNDING = auto()
    """Sound came, and waits to be played."""
    HEARD = auto()
    """Its beginning was played; the response goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds."""

    start_s: float = 5.0
    """From a request to `response.created`."""
    patience_s: float = 60.0
    """From a request to the first sound, tools included, while the service is alive."""
    fallback_s: float = 10.0
    """From the request for the fallback text to its first sound."""


@dataclass(slots=True)
class Debt:
    kind: Kind
    opened_at: float
    item_id: str = ""
    """WORDS: of the caller's speech."""
    step: Step = Step.FIRST
    state: State = State.OPEN
    since: float = 0.0
    """When the state was entered; HEARD: the last progress."""
    attempt_at: float = 0.0
    """When the current step was asked for."""
    start_s: float | None = None
    """Instead of `Limits.start_s`."""
    response_id: str = ""
    requested: bool = False
    """By us."""
    complete: bool = False
    """The response has ended: only its playout is missing."""
    chained: bool = False
    """The response called a tool: what follows belongs to the same attempt."""
    wordless: bool = False
    """WORDS: the transcript turned out to be empty."""
    moved: bool = False
    """A voice session was given up for it."""
    waits: int = 0
    """For a quota."""
    text: str = ""
    """What the agent wrote without speaking it: to be spoken as it stands."""
    retry_at: float = field(default=0.0)


@dataclass(frozen=True, slots=True)
class Missed:
    """A debt was not paid in time, or its response failed: what has to follow.

    `wait_s` is set while a quota is waited for: then the step stays. `stuck`: the service does not carry out requests,
    so that neither another request nor the fallback text would be spoken before it is freed.
    """

    kind: Kind
    step: Step
    why: str
    stuck: bool = False
    move: bool = False
    """`stuck`, and another voice session may do better."""
    wait_s: float | None = None
    noise: bool = False
    """Nothing failed: a noise taken for speech had cancelled the response."""

    @property
    def outcome(self) -> str:
        """What follows, for logs and metrics."""
        if self.noise:
            return "resumed"
        return "put_off" if self.wait_s is not None else str(self.step)
