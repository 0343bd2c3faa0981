"""Faults of the simulated ACS, set by `PUT /lab/faults`. Each ends after `times` uses or `for_s` seconds, if set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from lab.acs.forms import CallForms


class _Fault(BaseModel):
    model_config = ConfigDict(extra="forbid")
    times: int | None = Field(default=None, ge=1, description="number of uses; if unset, until the fault is removed")
    for_s: float | None = Field(default=None, gt=0, description="duration in seconds, starting with the PUT request")


class RestFault(_Fault):
    """A failing REST operation. By default the operation is not executed; with `when: after` it is, and only the
    response fails. A `status` of 200 to 299 is answered with an empty object.
    """

    status: int | None = Field(default=None, ge=200, le=599)
    code: str = "InternalServerError"
    message: str = "Injected fault."
    retry_after: float | None = None
    delay_s: float = Field(default=0.0, ge=0)
    drop: bool = False
    when: Literal["before", "after"] = "before"


class EventGridFault(_Fault):
    """A fault of event delivery: deliver each event `duplicates` more times, after `delay_s`, or in one batch with
    `neighbours` (any JSON, such as events of other calls or topics, or malformed events).
    """

    duplicates: int = Field(default=0, ge=0)
    delay_s: float = Field(default=0.0, ge=0)
    neighbours: tuple[object, ...] = ()


class CallbackFault(_Fault):
    """A fault of callback delivery.

    `reorder`: send the events of one request in reverse order, after `delay_s` (0.3 s if unset), without delaying later
    requests. `neighbours`: any JSON, sent before the events of the request. `results`: JSON type of the codes in
    `resultInformation`. `correlation`: the call that `correlationId` identifies.
    """

    types: tuple[str, ...] = ()
    """Type suffixes: only requests with an event of such a type are affected; empty: all requests."""
    duplicates: int = Field(default=0, ge=0)
    reorder: bool = False
    drop: bool = False
    delay_s: float = Field(default=0.0, ge=0)
    neighbours: tuple[object, ...] = ()
    results: Literal["number", "text", "float", "missing"] = "number"
    correlation: Literal["incoming", "connection", "missing"] = "incoming"

    def concerns(self, types: list[str]) -> bool:
        return not self.types or any(name.endswith(wanted) for name in types for wanted in self.types)


class OddFrame(BaseModel):
    """An unusual message, sent on the media socket after AudioMetadata."""

    model_config = ConfigDict(extra="forbid")
    text: str | None = None
    binary_base64: str | None = None


class MediaFault(_Fault):
    """A fault of media sockets. `refuse`: do not connect the socket. `drop_after_s`: abort it without a close frame.
    `key_sound`: the caller's audio contains the sound of pressed keys. Whether ACS does this is not documented.
    """

    refuse: bool = False
    drop_after_s: float | None = Field(default=None, ge=0)
    odd_frames: tuple[OddFrame, ...] = ()
    key_sound: bool = False


class FaultPlan(BaseModel):
    """Body of `PUT /lab/faults`. `rest` is keyed by operation (`answer`, `hang_up`, …) or `*` for all."""

    model_config = ConfigDict(extra="forbid")
    rest: dict[str, RestFault] = {}
    event_grid: EventGridFault | None = None
    callbacks: CallbackFault | None = None
    media: MediaFault | None = None
    forms: CallForms = CallForms()


def unknown_names(plan: FaultPlan, operations: Iterable[str], events: Iterable[str]) -> list[str]:
    """Return an error for each unknown operation or event type in `plan`; each lists the known names."""
    known_operations, known_events = sorted(operations), sorted(events)
    wrong = [
        f"rest: unknown operation {name!r}; known: *, {', '.join(known_operations)}"
        for name in plan.rest
        if name != "*" and name not in known_operations
    ]
    types = plan.callbacks.types if plan.callbacks is not None else ()
    return wrong + [
        f"callbacks.types: unknown event type {name!r}; known: {', '.join(known_events)}"
        for name in types
        if not any(("Microsoft.Communication." + known).endswith(name) for known in known_events)
    ]


FaultT = TypeVar("FaultT", bound=_Fault)


class AcsFaults:
    """The active faults and their remaining uses."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._plan = FaultPlan()
        self._put_at = 0.0

    @property
    def plan(self) -> FaultPlan:
        return self._plan

    def put(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._put_at = self._clock()

    def clear(self) -> None:
        self._plan = FaultPlan()

    @property
    def forms(self) -> CallForms:
        return self._plan.forms

    def rest(self, operation: str) -> RestFault | None:
        return self._use(self._plan.rest.get(operation) or self._plan.rest.get("*"))

    def event_grid(self) -> EventGridFault | None:
        return self._use(self._plan.event_grid)

    def callbacks(self, types: list[str]) -> CallbackFault | None:
        fault = self._plan.callbacks
        return self._use(fault) if fault is not None and fault.concerns(types) else None

    def media(self) -> MediaFault | None:
        return self._use(self._plan.media)

    def _use(self, fault: FaultT | None) -> FaultT | None:
        if fault is not None and fault.for_s is not None and self._clock() > self._put_at + fault.for_s:
            return None
        if fault is None or fault.times is None:
            return fault
        if fault.times == 0:
            return None
        fault.times -= 1
        return fault
