"""Applies events to a call's record one at a time, and saves the record.

Replicas write the same record by compare-and-swap. A replica that loses the race loads the record again and repeats the
step.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from bridge_common.base.errors import OutsideError
from bridge_common.base.log import fields
from bridge_common.store.call_store import CallStore, Deadlines
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import Callback, Due, InboxEntry, IncomingCall, Restored
from call_control.call_telemetry import (
    begin_trace,
    report_arrival,
    report_foreign_callback,
    report_next_rule,
    report_outdated,
    report_over_limit,
    report_step,
)
from call_control.core.events.callbacks import AcsEvent, decode_data
from call_control.core.machine.call_commands import SetTimer
from call_control.core.machine.call_events import CallEvent, CommandDone, CommandFailed, PlaceFree, RingExpired
from call_control.core.machine.call_machine import apply
from call_control.core.machine.transition import CallPolicy, armed, newly_due, no_longer_due
from call_control.routing.ring_counter import RingCounter
from call_control.routing.route_choice import RouteChoice, RoutingSource
from call_control.routing.rule_places import RulePlaces

log = logging.getLogger(__name__)

_SWAPS: Final = 50
"""Attempts to save a record that other processes change at the same time."""


class CallSteps:
    """Applies events to call records, one step at a time for each call. `cause`: id of the inbox entry of the step.

    Both methods return the record after the step, or `None` if the call does not exist or no longer exists. Both raise
    `OutsideError` if Redis is unreachable, or if the record could not be saved because of concurrent writes.
    """

    def __init__(
        self,
        store: CallStore,
        policy: CallPolicy,
        routing: RoutingSource,
        rings: RingCounter | None = None,
        places: RulePlaces | None = None,
    ) -> None:
        self._store = store
        self._policy = policy
        self._routing = routing
        self._choice = RouteChoice(routing, rings, places)
        self._turns: dict[str, _Turn] = {}

    @property
    def calls(self) -> int:
        """Number of calls with a running or waiting step."""
        return len(self._turns)

    async def take(self, entry: InboxEntry, cause: str) -> CallRecord | None:
        """Apply an inbox entry. Raises the errors of `decode_data` for a callback that cannot be decoded."""
        async with self._turn(entry.call_id):
            if isinstance(entry, IncomingCall):
                return await self._arrive(entry, cause)
            if isinstance(entry, Callback):
                return await self._commit(entry.call_id, [decode_data(entry.event_id, entry.type, entry.data)], cause)
            if isinstance(entry, Due) and entry.timer in (SetTimer.WAIT, SetTimer.PLACE):
                return await self._waited(entry, cause)
            record = await self._commit(entry.call_id, [entry], cause)
            if isinstance(entry, Restored) and record is not None:
                await self._choice.restore(record)
            return record

    async def take_results(
        self, record: CallRecord, results: Sequence[CommandDone | CommandFailed], cause: str
    ) -> CallRecord | None:
        """Apply the outcome of the record's commands.

        The step uses `record` without loading it again, unless another writer has changed it since. This is safe for
        results: none of their guards reads a field that other services write (`FOREIGN_FIELDS`).
        """
        async with self._turn(record.call_id):
            return await self._commit(record.call_id, results, cause, known=record)

    async def _arrive(self, entry: IncomingCall, cause: str) -> CallRecord | None:
        age_ms = _now_ms() - (entry.rang_ms or entry.received_ms)
        if age_ms > self._policy.ring_ms:
            return await self._arrive_late(entry, age_ms, cause)
        routed, exceeded = await self._choice.admit(entry, self._policy.redirect_target)
        trace = begin_trace(entry)
        blank = replace(_blank(entry), traceparent=trace.traceparent)
        step = apply(blank, routed, _now_ms(), self._policy, cause)
        if await self._store.create(step.record, _deadlines(blank, step.record)):
            self._choice.count(routed)
            trace.export()
            report_arrival(entry, routed)
            if exceeded is not None:
                report_over_limit(entry, exceeded)
            report_step(blank, step.record, routed.decision)
            return step.record
        record = await self._store.load(entry.call_id)
        await self._choice.release(entry.call_id, routed, record)
        return record

    async def _waited(self, due: Due, cause: str) -> CallRecord | None:
        """Continue a call that waits for capacity: offer it if its rule has a place, or route it by the next rule."""
        record = await self._store.load(due.call_id)
        timer = armed(record, due.timer) if record is not None else None
        if record is None or timer is None or timer.seq != due.seq:
            return await self._commit(due.call_id, [due], cause)
        if due.timer == SetTimer.PLACE:
            event = PlaceFree() if await self._choice.has_place(record) else due
            return await self._commit(due.call_id, [event], cause, known=record)
        routed = None if record.voice_epoch else await self._choice.next_rule(record)
        if routed is None:
            return await self._commit(due.call_id, [due], cause, known=record)
        after = await self._commit(due.call_id, [routed], cause, known=record)
        await self._choice.release(due.call_id, routed, after)
        if after is not None and after.route == routed.rule:
            self._choice.count(routed)
            report_next_rule(after)
        return after

    async def _arrive_late(self, entry: IncomingCall, age_ms: int, cause: str) -> CallRecord | None:
        """Record a call whose event is too old, without answering it. A call that is already recorded continues."""
        reason = f"its event was {age_ms / 1000:.0f} s old"
        blank = replace(_blank(entry), route="RING_TIME_S", route_reason=reason)
        expired = RingExpired()
        step = apply(blank, expired, _now_ms(), self._policy, cause)
        if await self._store.create(step.record, _deadlines(blank, step.record)):
            report_outdated(entry, age_ms)
            report_step(blank, step.record, expired)
            return step.record
        return await self._store.load(entry.call_id)

    async def _commit(
        self, call_id: str, events: Sequence[CallEvent], cause: str, known: CallRecord | None = None
    ) -> CallRecord | None:
        routing = await self._routing.routing()
        policy, agents = replace(self._policy, targets=routing.targets), routing.human_agents
        if agents:
            policy = replace(policy, redirect_target=agents, transfer_target=agents)
        for _ in range(_SWAPS):
            before, known = known or await self._store.load(call_id), None
            if before is None:
                log.info("event for an unknown call dropped", extra=fields(call_id=call_id, cause=cause))
                return None
            record, steps = before, []
            for event in events:
                step = apply(record, event, _now_ms(), policy, cause)
                steps.append((record, step, event))
                record = step.record
            if record != before and not await self._store.save(before, record, _deadlines(before, record)):
                continue
            for was, step, event in steps:
                if step.foreign and isinstance(event, AcsEvent):
                    report_foreign_callback(call_id, event, step.foreign)
                report_step(was, step.record, event)
            return record if record == before else replace(record, version=before.version + 1)
        raise OutsideError(
            f"the call record was not saved: other replicas changed it {_SWAPS} times in a row; retry", retry=True
        )

    @asynccontextmanager
    async def _turn(self, call_id: str) -> AsyncIterator[None]:
        """Run one step of a call at a time, first come, first served."""
        turn = self._turns.setdefault(call_id, _Turn())
        turn.waiting += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[call_id]


class _Turn:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


def _deadlines(before: CallRecord, after: CallRecord) -> Deadlines:
    now_ms = _now_ms()
    set_in_ms = {due: max(0, at_ms - now_ms) for due, at_ms in newly_due(before, after).items()}
    return Deadlines(set_in_ms, no_longer_due(before, after))


def _now_ms() -> int:
    return round(time.time() * 1000)


def _blank(entry: IncomingCall) -> CallRecord:
    return CallRecord(
        call_id=entry.call_id,
        status=Status.RINGING,
        created_ms=entry.received_ms,
        caller=entry.caller,
        callee=entry.callee,
        correlation_id=entry.correlation_id,
        server_call_id=entry.server_call_id,
        incoming_call_context=entry.incoming_call_context,
        caller_display_name=entry.display_name,
        custom_context=entry.custom_context,
        on_behalf_of=entry.on_behalf_of,
    )
