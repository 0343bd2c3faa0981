from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from bridge_common.base.errors import EntryError, OutsideError
from bridge_common.store.call_store import CallStore
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Leases, OverdueLease
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import InboxEntry, VoiceLost
from media_gateway.relay_watch import ALONE_AFTER_S, GIVEN_UP_AFTER_S, RelayWatch, RelayWatchTiming
from tests.support.eventually import eventually


@dataclass
class Table:
    """A lease table and an inbox."""

    overdue_calls: list[OverdueLease] = field(default_factory=list)
    put: list[tuple[InboxEntry, str]] = field(default_factory=list)
    away: bool = False
    records: dict[str, CallRecord | EntryError] = field(default_factory=dict)

    async def overdue(self, call_ids: Iterable[str]) -> list[OverdueLease]:
        if self.away:
            raise OutsideError("Redis is unavailable", retry=True)
        return [one for one in self.overdue_calls if one.call_id in set(call_ids)]

    async def load(self, call_id: str) -> CallRecord | None:
        record = self.records.get(call_id)
        if isinstance(record, EntryError):
            raise record
        return record

    async def put_as_owner(self, entry: InboxEntry, owner_text: str) -> bool:
        self.put.append((entry, owner_text))
        return True


@dataclass
class Call:
    call_id: str
    is_alone: bool = False
    record_due: bool = False
    record: CallRecord | None = None

    def alone(self, alone: bool) -> None:
        self.is_alone = alone

    def update(self, record: CallRecord) -> None:
        self.record = record


def _watch(table: Table, *calls: Call, timing: RelayWatchTiming | None = None) -> RelayWatch:
    return RelayWatch(cast(Leases, table), cast(Inbox, table), cast(CallStore, table), lambda: calls, timing)


async def test_only_calls_that_no_relay_drives_are_alone_and_not_for_longer() -> None:
    table, driven, orphan, young = Table(), Call("driven"), Call("orphan"), Call("young")
    watch = _watch(table, driven, orphan, young)
    table.overdue_calls = [OverdueLease("orphan", ALONE_AFTER_S, "relay|7"), OverdueLease("young", 0.1, "relay|8")]
    await watch.look()
    assert [call.is_alone for call in (driven, orphan, young)] == [False, True, False]
    table.overdue_calls = []
    await watch.look()
    assert not orphan.is_alone
    assert not table.put


async def test_call_control_learns_once_that_there_is_no_relay() -> None:
    table, call, new = Table(), Call("call"), Call("new")
    watch = _watch(table, call, new)
    table.overdue_calls = [OverdueLease("call", GIVEN_UP_AFTER_S, "relay|7"), OverdueLease("new", GIVEN_UP_AFTER_S, "")]
    for _ in range(3):
        await watch.look()
    assert table.put == [(VoiceLost("call", 7, "no relay"), "relay|7")]
    table.overdue_calls = [OverdueLease("call", GIVEN_UP_AFTER_S, "another|9")]
    await watch.look()
    assert len(table.put) == 2


async def test_after_an_outage_relays_have_time_to_renew_their_leases() -> None:
    """Nobody could renew a lease in the meantime: the caller would be hung up although everything works again."""
    table, call = Table(away=True), Call("call")
    timing = RelayWatchTiming(look_s=0.01, redis_away_s=0.02, given_up_after_s=0.3)
    running = asyncio.create_task(_watch(table, call, timing=timing).run())
    await eventually(lambda: call.is_alone)
    table.overdue_calls = [OverdueLease("call", 25.0, "relay|7")]
    table.away = False
    began = asyncio.get_running_loop().time()
    await eventually(lambda: bool(table.put))
    assert asyncio.get_running_loop().time() - began >= timing.given_up_after_s
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_call_is_alone_while_redis_is_unavailable() -> None:
    table, call = Table(away=True), Call("call")
    timing = RelayWatchTiming(look_s=0.01, redis_away_s=0.1)
    running = asyncio.create_task(_watch(table, call, timing=timing).run())
    await eventually(lambda: call.is_alone)
    table.away = False
    await eventually(lambda: not call.is_alone)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_call_that_no_relay_has_ever_claimed_is_alone_after_a_while() -> None:
    table, call = Table(), Call("call")
    watch = _watch(table, call, timing=RelayWatchTiming(unleased_s=0.05))
    table.overdue_calls = [OverdueLease("call", None, "")]
    await watch.look()
    assert not call.is_alone, "a relay may be restoring a call that Redis has lost"

    async def is_alone() -> bool:
        await watch.look()
        return call.is_alone

    await eventually(is_alone)
    assert not table.put, "there is no voice session to lose"
    table.overdue_calls = []
    await watch.look()
    table.overdue_calls = [OverdueLease("call", None, "")]
    await watch.look()
    assert not call.is_alone


async def test_sessions_get_the_record_that_they_need() -> None:
    record = CallRecord(call_id="call", status=Status.CONNECTED)
    table, call, other, gone = Table(), Call("call", record_due=True), Call("other"), Call("gone", record_due=True)
    newer = Call("newer", record_due=True)
    table.records = {"call": record, "other": record, "newer": EntryError("unknown status")}
    await _watch(table, gone, newer, call, other).look()
    assert (call.record, other.record, gone.record, newer.record) == (record, None, None, None)
