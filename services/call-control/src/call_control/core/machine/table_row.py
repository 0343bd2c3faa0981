"""A row of the call machine's table."""

from __future__ import annotations

from dataclasses import dataclass

from bridge_common.wire.call_record import Status
from call_control.core.machine.call_actions import Action, Guard
from call_control.core.machine.call_events import EventKind


@dataclass(frozen=True, slots=True)
class Row:
    at: Status
    on: EventKind
    to: Status
    do: tuple[Action, ...] = ()
    when: Guard | None = None
