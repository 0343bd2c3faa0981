"""What a row of the table is: a fault, the fleet it strikes, and what must hold."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from lab.chaos.call_evidence import CallEvidence
from lab.chaos.crowd import Crowd
from lab.chaos.local_fleet import GATEWAY, FleetPlan, LocalFleet

Facts: TypeAlias = dict[str, float]
"""Figures that are no property of one call; over repetitions the largest counts."""

EXTRA: Final = {"voice-live": {"SESSION_SETUP_S": "0.3"}, GATEWAY: {"DRAIN_TIMEOUT_S": "6"}}
"""The set-up of a voice session takes its time. A gateway waits less long for calls to end before it sends them on."""
USUAL: Final = FleetPlan(extra=EXTRA)
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


@dataclass(slots=True)
class Scene:
    """A fleet with its callers. `moments`: monotonic seconds of what the fault did."""

    fleet: LocalFleet
    crowd: Crowd
    turn: int = 0
    """Which repetition this is, from 0."""
    moments: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FaultTarget:
    """`figure` of the row's result, compared with `limit` by `<=`, `>=` or `==`."""

    figure: str
    compare: str
    limit: float

    def holds(self, figures: Facts) -> bool:
        """A figure that was not measured does not hold."""
        value = figures.get(self.figure)
        return value is not None and _COMPARE[self.compare](value, self.limit)

    def __str__(self) -> str:
        return f"{self.figure} {self.compare} {self.limit:g}"


Inject: TypeAlias = Callable[[Scene], Facts]
"""Does the fault, and returns when it is over; what it returns are facts."""
Examine: TypeAlias = Callable[[Scene, Sequence[CallEvidence]], Facts]
"""Facts that only the traces show."""


def nothing(_: Scene) -> Facts:
    """How it looks without a fault: what of a figure is the machine's."""
    return {}


def fit_as_it_is(_: LocalFleet) -> None:
    """The fleet is fit for the row as it is."""


def nothing_more(_: Scene, __: Sequence[CallEvidence]) -> Facts:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosRow:
    name: str
    fault: str
    """In words, as the table says it."""
    inject: Inject
    watch_s: float
    """How long the calls are watched after the fault."""
    targets: tuple[FaultTarget, ...]
    examine: Examine = nothing_more
    plan: FleetPlan = USUAL
    dials: bool = True
    """The callers talk before the fault; otherwise `inject` lets them dial."""
    recorded: bool = False
    """What the callers hear is kept as sound."""
    before_dialling: Callable[[LocalFleet], None] = fit_as_it_is
    """Blocks until the fleet is as it has to be for the callers to dial."""
    before_fault: Callable[[LocalFleet], None] = fit_as_it_is
    """The same for the fault, while the callers talk."""
    quick: bool = False
    """Part of `--quick`."""
    calls: int | None = None
    """Where the number of calls belongs to the fault."""
    repeats: int | None = None
    """Where the number of repetitions belongs to the fault."""
    at_once: int = 1
    """How many repetitions run side by side, on fleets of their own: for what takes long and measures no time."""


GOES_ON: Final = (FaultTarget("went_on_pct", "==", 100), FaultTarget("foreign", "==", 0), FaultTarget("stale", "==", 0))
LEFT_ALONE: Final = FaultTarget("starts_asked", "==", 0)
"""ACS got no request to start the media of a call whose socket is healthy."""
NOTHING_TWICE: Final = FaultTarget("repeated", "==", 0)
ONE_SESSION_HEARS: Final = (FaultTarget("repeated_uplink", "==", 0), FaultTarget("lost_uplink", "==", 0))
"""For quiet calls, in which the next voice session begins where the previous one stopped: every frame of the caller is
heard by exactly one of them. Callers here never begin a turn; an unanswered turn has to be heard by both sessions."""
ALL_HEARD: Final = FaultTarget("lost_uplink", "==", 0)
"""Frames that a lost session may not have heard are sent to the next one; some of them are heard twice."""
NEVER_SILENT: Final = FaultTarget("silence_s", "<=", 5.0)
SAME_CONVERSATION: Final = FaultTarget("conversations_max", "==", 1)


def gap(p99: float, most: float | None = None) -> tuple[FaultTarget, ...]:
    """ms without a frame, over calls and directions."""
    found = (FaultTarget("gap_p99_ms", "<=", p99),)
    return found if most is None else (*found, FaultTarget("gap_max_ms", "<=", most))
