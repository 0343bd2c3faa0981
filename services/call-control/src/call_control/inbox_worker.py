"""Processes the inbox: applies each entry to its call, runs the commands that follow, then acknowledges the entry.

Any number of replicas do this concurrently. The record is saved together with its outbox (`steps`); an entry is
acknowledged only when its outbox contains no more commands of that entry. When a replica dies, another claims its
entries and runs the remaining commands.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bridge_common.base.errors import BridgeError, OutsideError
from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger
from bridge_common.base.refusals import Refusals
from bridge_common.base.retry import Backoff, repeat, retry
from bridge_common.observability.telemetry import ACTIVE_CALLS
from bridge_common.store.fleet import BEAT_S, Fleet
from bridge_common.store.inbox import Delivery, Inbox
from bridge_common.wire.call_record import CallRecord
from call_control import metrics
from call_control.core.machine.call_commands import AtOnce
from call_control.core.machine.call_events import CommandDone, CommandFailed
from call_control.core.machine.transition import outstanding
from call_control.steps import CallSteps

log = logging.getLogger(__name__)

CAPACITY: Final = 256
"""Maximum entries in progress. Most take a few ms; those that wait for ACS must not block the others."""
_LOOP_BACKOFF: Final = Backoff.constant(0.2)
_ENTRY_BACKOFF: Final = Backoff(0.2, most_s=2.0)
_DRAINED_PAUSE_S: Final = 0.2
_FAULT_PAUSE_S: Final = 2.0
"""Pause after an unexpected exception."""


@dataclass(frozen=True, slots=True)
class WorkerTiming:
    read_block_ms: int = 500
    timer_poll_s: float = 0.4
    """Longest interval between checks of the timers: below the shortest timer of a call (`CallPolicy`), so that each
    timer is read before it is due.
    """
    orphan_poll_s: float = 0.5
    forget_poll_s: float = 30.0
    beat_s: float = BEAT_S


DEFAULT_TIMING: Final = WorkerTiming()


class CommandRunner(Protocol):
    """The interface of `Effects` that the worker uses."""

    async def run(self, record: CallRecord, commands: Sequence[AtOnce]) -> list[CommandDone | CommandFailed]: ...


class InboxWorker:
    """Processes the inbox: `run` runs until canceled. Call `drain` before, so that entries in progress are completed.

    `follow_routing`: applies changes of the routing policy by other replicas, and returns when the next check is due.
    """

    def __init__(
        self,
        inbox: Inbox,
        steps: CallSteps,
        fleet: Fleet,
        effects: CommandRunner,
        *,
        name: str,
        follow_routing: Callable[[], Awaitable[None]],
        timing: WorkerTiming = DEFAULT_TIMING,
    ) -> None:
        self._inbox = inbox
        self._steps = steps
        self._fleet = fleet
        self._effects = effects
        self._name = name
        self._sync_routing = follow_routing
        self._timing = timing
        self._free = asyncio.Semaphore(CAPACITY)
        self._tasks = asyncio.TaskGroup()
        self._in_progress: set[tuple[str, str]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._reading: set[Inbox] = set()
        self._stopped_reading = asyncio.Event()
        self._outage = OutageLogger(
            log, begun="failed to process the inbox; retrying", over="inbox processing recovered"
        )
        self._entry_outage = OutageLogger(
            log, begun="inbox entry failed; retrying", over="inbox entry processing recovered"
        )
        self.refusals = Refusals()
        """Shards whose Redis rejects reads of the inbox."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(self._forever(self._beat, self._inbox))
            self._tasks.create_task(self._forever(self._follow_routing, self._inbox))
            # An unreachable server does not block the inboxes of the others.
            for part in self._inbox.parts():
                self._reading.add(part)
                for loop in (self._read, self._adopt_orphans, self._forget_consumers, self._fire_timers):
                    self._tasks.create_task(self._forever(loop, part))

    # Each of these returns the seconds to wait before its next run.
    async def _read(self, inbox: Inbox) -> float:
        if self._draining:
            self._reading.discard(inbox)
            if not self._reading:
                self._stopped_reading.set()
            return _DRAINED_PAUSE_S
        # The first read does not wait, because the process becomes ready with it.
        block_ms = self._timing.read_block_ms if self.refusals.worked_once else 1
        try:
            deliveries = await inbox.read(block_ms=block_ms)
        except OutsideError as error:
            self.refusals.failed(inbox, error)
            raise
        self.refusals.worked(inbox)
        await self._take(deliveries)
        return 0.0

    async def _adopt_orphans(self, inbox: Inbox) -> float:
        # Sleep first: after an outage the other replicas need time for a heartbeat.
        await asyncio.sleep(self._timing.orphan_poll_s)
        if not self._draining and await inbox.has_pending():
            await self._take(await inbox.claim_orphans({*await self._fleet.live(), self._name}))
        return 0.0

    async def _forget_consumers(self, inbox: Inbox) -> float:
        await asyncio.sleep(self._timing.orphan_poll_s)
        await inbox.forget_dead_consumers({*await self._fleet.live(), self._name})
        return self._timing.forget_poll_s

    async def _fire_timers(self, inbox: Inbox) -> float:
        fired = await inbox.fire_due_timers()
        return min(fired.next_in_s, self._timing.timer_poll_s)

    async def _follow_routing(self, _: Inbox) -> float:
        await self._sync_routing()
        return 0.0

    async def _beat(self, _: Inbox) -> float:
        with contextlib.suppress(OutsideError):
            await self._fleet.beat(capacity=CAPACITY, active=len(self._in_progress), draining=self._draining)
        ACTIVE_CALLS.set(self._steps.calls)
        return self._timing.beat_s

    async def _take(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            if _place(delivery) in self._in_progress:
                continue
            self._in_progress.add(_place(delivery))
            self._idle.clear()
            await self._free.acquire()
            self._tasks.create_task(self._process(delivery))

    async def drain(self) -> None:
        """Stop reading the inbox; return when all entries in progress are done."""
        self._draining = True
        await self._stopped_reading.wait()
        await self._idle.wait()

    async def _forever(self, loop: Callable[[Inbox], Awaitable[float]], inbox: Inbox) -> None:
        """Run a loop, and continue after outages of Redis. All loops together log begin and end of an outage once."""
        doing, failed = loop.__name__.strip("_"), False

        async def step() -> float:
            nonlocal failed
            if failed:
                # Redis may have restarted without data: then the consumer group is missing.
                with contextlib.suppress(OutsideError):
                    await inbox.ensure_group()
            failed = True
            try:
                pause_s = await loop(inbox)
            except OutsideError:
                raise
            except Exception:
                log.exception("worker loop failed; restarting", extra=fields(doing=doing))
                pause_s = _FAULT_PAUSE_S
            failed = False
            return pause_s

        await repeat(step, _LOOP_BACKOFF, self._outage, task=(doing, inbox), doing=doing)

    # -- one entry ---------------------------------------------------------------------------------------------------
    async def _process(self, delivery: Delivery) -> None:
        """Process an entry; retry it while Redis or ACS is unreachable. After any other failure, log and drop it."""
        place = _place(delivery)
        metrics.INBOX_WAIT.observe(max(time.time() - delivery.at_ms / 1000, 0.0))

        async def attempt() -> None:
            await self._act(delivery)
            await self._inbox.ack(delivery)

        def report(error: OutsideError, _: float) -> None:
            self._entry_outage.failed(task=place, **_about(delivery, error.message))

        try:
            await retry(attempt, _ENTRY_BACKOFF, OutsideError, on_failure=report, refused_too=True)
            metrics.ENTRIES.labels(type(delivery.entry).__name__).inc()
        except Exception as error:
            # Endless retries would not help, and the call's deadlines still end it.
            log.exception("inbox entry failed; dropping it", extra=fields(**_about(delivery, str(error))))
            await self._drop(delivery)
        finally:
            self._entry_outage.worked(task=place)
            self._in_progress.discard(place)
            self._free.release()
            if not self._in_progress:
                self._idle.set()

    async def _drop(self, delivery: Delivery) -> None:
        try:
            await self._inbox.ack(delivery)
        except BridgeError as error:
            log.warning("failed to acknowledge dropped inbox entry", extra=fields(**_about(delivery, error.message)))

    async def _act(self, delivery: Delivery) -> None:
        entry, cause = delivery.entry, delivery.entry_id
        record = await self._steps.take(entry, cause)
        carried_out: set[int] = set()
        while record is not None:
            todo = [c for c in outstanding(record, cause) if c.seq not in carried_out]
            if not todo:
                return
            results = await self._effects.run(record, todo)
            carried_out.update(command.seq for command in todo)
            record = await self._steps.take_results(record, results, cause)


def _place(delivery: Delivery) -> tuple[str, str]:
    """Return a unique key of a delivery: the inboxes of two shards may use the same entry id."""
    return delivery.tag, delivery.entry_id


def _about(delivery: Delivery, reason: str) -> dict[str, object]:
    entry = delivery.entry
    return {"call_id": entry.call_id, "entry": type(entry).__name__, "cause": delivery.entry_id, "reason": reason}
