"""A row of the table: a fault, the fleet in which it is injected, and the targets."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from lab.chaos.acting_calls import ActingCrowd
from lab.chaos.call_evidence import CallEvidence
from lab.chaos.crowd import Crowd
from lab.chaos.local_fleet import GATEWAY, FleetPlan, LocalFleet
from lab.chaos.people_calls import PeopleCrowd

Facts: TypeAlias = dict[str, float]
"""Figures of a whole repetition, not of one call. The worst value of all repetitions counts."""

EXTRA: Final = {"voice-live": {"SESSION_SETUP_S": "0.3"}, GATEWAY: {"DRAIN_TIMEOUT_S": "6"}}
"""Voice sessions take time to set up, as in reality. A draining gateway waits a shorter time for calls to end."""
USUAL: Final = FleetPlan(extra=EXTRA)
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


BEGAN: Final = "began"
"""Moment from which gaps are measured, if `inject` first prepares the fleet."""


@dataclass(slots=True)
class Scene:
    """A fleet with its callers. `moments`: the times at which the steps of the fault happened, in monotonic seconds."""

    fleet: LocalFleet
    crowd: Crowd
    turn: int = 0
    """Number of the repetition, from 0."""
    acting: ActingCrowd | None = None
    people: PeopleCrowd | None = None
    late: Crowd | None = None
    """Callers who dialed during the fault. They are not among the calls whose frames are examined."""
    moments: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FaultTarget:
    """A target: `figure` of the row's result, compared with `limit` by `<=`, `>=` or `==`."""

    figure: str
    compare: str
    limit: float

    def holds(self, figures: Facts) -> bool:
        """Whether the target is met. It is missed if the figure was not measured."""
        value = figures.get(self.figure)
        return value is not None and _COMPARE[self.compare](value, self.limit)

    def __str__(self) -> str:
        return f"{self.figure} {self.compare} {self.limit:g}"


Inject: TypeAlias = Callable[[Scene], Facts]
"""Function that injects the fault, blocks until the fault has ended, and returns measurements."""
Examine: TypeAlias = Callable[[Scene, Sequence[CallEvidence]], Facts]
"""Function that returns further measurements, from the traces of the calls."""


def nothing(_: Scene) -> Facts:
    """Inject no fault: the figures show the influence of the machine."""
    return {}


def at_once(_: LocalFleet) -> None:
    """Return at once: the fault needs no preparation of the fleet."""


def nothing_more(_: Scene, __: Sequence[CallEvidence]) -> Facts:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosRow:
    name: str
    fault: str
    """The fault as printed in the table: the component, a colon, the fault."""
    inject: Inject
    watch_s: float
    """Time for which the calls are observed after the fault."""
    targets: tuple[FaultTarget, ...]
    examine: Examine = nothing_more
    plan: FleetPlan = USUAL
    acting_pct: int = 0
    """Share of the calls whose agents and operators act; `inject` dials them. The others exchange marks."""
    people_pct: int = 0
    """Share of the calls into which people are brought; `inject` dials them. The others exchange marks."""
    dials: bool = True
    """True if the callers are connected before the fault; otherwise `inject` makes them dial."""
    recorded: bool = False
    """Record the audio that the callers hear."""
    before_dialing: Callable[[LocalFleet], None] = at_once
    """Function that prepares the fleet for the callers, or blocks until it is ready for them."""
    before_fault: Callable[[LocalFleet], None] = at_once
    """Function that prepares the fleet for the fault, while the callers are connected."""
    quick: bool = False
    """True if `--quick` includes the row."""
    calls: int | None = None
    """Set if the number of calls is part of the fault."""
    repeats: int | None = None
    """Set if the number of repetitions is part of the fault."""
    at_once: int = 1
    """Number of repetitions in parallel, on separate fleets: for long rows that measure no delays."""


GOES_ON: Final = (FaultTarget("went_on_pct", "==", 100), FaultTarget("foreign", "==", 0), FaultTarget("stale", "==", 0))
LEFT_ALONE: Final = FaultTarget("starts_asked", "==", 0)
"""Target: ACS received no request to start media streaming of a call whose socket is healthy."""
NOTHING_TWICE: Final = FaultTarget("repeated", "==", 0)
ONE_SESSION_HEARS: Final = (FaultTarget("repeated_uplink", "==", 0), FaultTarget("lost_uplink", "==", 0))
"""Targets for calls in which the next voice session begins where the previous one stopped: exactly one of them hears
each frame of the caller. This is true only because callers in these rows never begin a turn; an unanswered turn must be
heard by both sessions.
"""
ALL_HEARD: Final = FaultTarget("lost_uplink", "==", 0)
"""Targets after the loss of a session: the next one receives frames that the lost one may not have heard; some of them
are heard twice.
"""
NEVER_SILENT: Final = FaultTarget("silence_s", "<=", 5.0)
SAME_CONVERSATION: Final = FaultTarget("conversations_max", "==", 1)


def gap(p99: float, most: float | None = None) -> tuple[FaultTarget, ...]:
    """Return targets in ms for the time without a frame, over calls and directions."""
    found = (FaultTarget("gap_p99_ms", "<=", p99),)
    return found if most is None else (*found, FaultTarget("gap_max_ms", "<=", most))
