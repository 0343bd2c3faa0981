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
from typing import Final, Protocol

from bridge_common.base.errors import BridgeError, OutsideError
from bridge_common.base.log import fields
from bridge_common.base.outage_logger import OutageLogger, Refusals
from bridge_common.observability.telemetry import ACTIVE_CALLS
from bridge_common.store.fleet import BEAT_S, Fleet
from bridge_common.store.inbox import Delivery, Inbox
from bridge_common.wire.call_record import CallRecord
from call_control import metrics
from call_control.core.machine.call_commands import AtOnce
from call_control.core.machine.call_events import CommandDone, CommandFailed
from call_control.core.machine.call_machine import outstanding
from call_control.steps import CallSteps

log = logging.getLogger(__name__)

CAPACITY: Final = 256
"""Entries processed concurrently. Most take a few ms; those that wait for ACS must not block the others."""
READ_BLOCK_MS: Final = 500
TIMER_POLL_S: Final = 0.4
"""Below the shortest timer of a call (`CallPolicy`), so that each timer is read before it is due."""
ORPHAN_POLL_S: Final = 0.5
FORGET_POLL_S: Final = 30.0
_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 2.0


class CommandRunner(Protocol):
    """The interface of `Effects` that the worker uses."""

    async def run(self, record: CallRecord, commands: Sequence[AtOnce]) -> list[CommandDone | CommandFailed]: ...


class InboxWorker:
    """`run` runs until cancelled. Call `drain` before, so that entries in progress are finished.

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
    ) -> None:
        self._inbox = inbox
        self._steps = steps
        self._fleet = fleet
        self._effects = effects
        self._name = name
        self._take_routing = follow_routing
        self._free = asyncio.Semaphore(CAPACITY)
        self._tasks = asyncio.TaskGroup()
        self._in_hand: set[tuple[str, str]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._reading: set[Inbox] = set()
        self._reads_no_more = asyncio.Event()
        self._outage = OutageLogger(log, "working off the inbox")
        self.refusals = Refusals()
        """Refused reads, by the inbox of each shard."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as self._tasks:
            for alone in (self._beat, self._follow_routing):
                self._tasks.create_task(self._forever(alone, self._inbox))
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
                self._reads_no_more.set()
            return _PAUSE_S
        try:
            deliveries = await inbox.read(block_ms=READ_BLOCK_MS)
        except OutsideError as error:
            self.refusals.failed(inbox, error)
            raise
        self.refusals.worked(inbox)
        await self._take(deliveries)
        return 0.0

    async def _adopt_orphans(self, inbox: Inbox) -> float:
        # Sleep first: after an outage the other replicas need time for a heartbeat.
        await asyncio.sleep(ORPHAN_POLL_S)
        if not self._draining and await inbox.has_pending():
            await self._take(await inbox.claim_orphans({*await self._fleet.live(), self._name}))
        return 0.0

    async def _forget_consumers(self, inbox: Inbox) -> float:
        await asyncio.sleep(ORPHAN_POLL_S)
        await inbox.forget_dead_consumers({*await self._fleet.live(), self._name})
        return FORGET_POLL_S

    async def _fire_timers(self, inbox: Inbox) -> float:
        fired = await inbox.fire_due_timers()
        return min(fired.next_in_s, TIMER_POLL_S)

    async def _follow_routing(self, _: Inbox) -> float:
        await self._take_routing()
        return 0.0

    async def _beat(self, _: Inbox) -> float:
        with contextlib.suppress(OutsideError):
            await self._fleet.beat(capacity=CAPACITY, active=len(self._in_hand), draining=self._draining)
        ACTIVE_CALLS.set(self._steps.calls)
        return BEAT_S

    async def _take(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            if _place(delivery) in self._in_hand:
                continue
            self._in_hand.add(_place(delivery))
            self._idle.clear()
            await self._free.acquire()
            self._tasks.create_task(self._work_off(delivery))

    async def drain(self) -> None:
        """Stop reading the inbox; return when all entries in progress are done."""
        self._draining = True
        await self._reads_no_more.wait()
        await self._idle.wait()

    async def _forever(self, loop: Callable[[Inbox], Awaitable[float]], inbox: Inbox) -> None:
        """Run a loop across outages of Redis. All loops together log two lines for each outage: begun, over."""
        doing = loop.__name__.strip("_")
        while True:
            try:
                pause_s = await loop(inbox)
                self._outage.worked(task=(doing, inbox))
                await asyncio.sleep(pause_s)
            except OutsideError as error:
                self._outage.failed(task=(doing, inbox), doing=doing, error=error.message)
                await asyncio.sleep(_PAUSE_S)
                await _restore_group(inbox)
            except Exception:
                log.exception("worker loop failed; restarting", extra=fields(doing=doing))
                await asyncio.sleep(_LONGEST_PAUSE_S)

    # -- one entry ---------------------------------------------------------------------------------------------------
    async def _work_off(self, delivery: Delivery) -> None:
        """Retry the entry while Redis or ACS is unreachable. An entry that fails otherwise is logged and dropped."""
        pause_s = _PAUSE_S
        metrics.INBOX_WAIT.observe(max(time.time() - delivery.at_ms / 1000, 0.0))
        try:
            while True:
                try:
                    await self._act(delivery)
                    await self._inbox.ack(delivery)
                    metrics.ENTRIES.labels(type(delivery.entry).__name__).inc()
                    return
                except OutsideError as error:
                    if pause_s == _PAUSE_S:
                        log.warning("inbox entry failed; retrying", extra=_about(delivery, error.message))
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                except Exception as error:
                    # Endless retries would not help, and the call's deadlines still end it.
                    log.exception("an inbox entry is dropped", extra=_about(delivery, str(error)))
                    await self._drop(delivery)
                    return
        finally:
            self._in_hand.discard(_place(delivery))
            self._free.release()
            if not self._in_hand:
                self._idle.set()

    async def _drop(self, delivery: Delivery) -> None:
        try:
            await self._inbox.ack(delivery)
        except BridgeError as error:
            log.warning("a dropped entry stays pending", extra=_about(delivery, error.message))

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


async def _restore_group(inbox: Inbox) -> None:
    """Redis may have restarted without data, and then lacks the consumer group."""
    try:
        await inbox.ensure_group()
    except OutsideError as error:
        log.debug("no consumer group yet", extra=fields(reason=error.message))


def _place(delivery: Delivery) -> tuple[str, str]:
    """Key of a delivery: the inboxes of two shards may use the same entry id."""
    return delivery.tag, delivery.entry_id


def _about(delivery: Delivery, reason: str) -> dict[str, object]:
    return fields(
        call_id=delivery.entry.call_id, entry=type(delivery.entry).__name__, cause=delivery.entry_id, reason=reason
    )
