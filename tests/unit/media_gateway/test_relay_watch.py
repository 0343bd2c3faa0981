from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from bridge_common.base.errors import OutsideError
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Leases, OverdueLease
from bridge_common.wire.entries import InboxEntry, VoiceLost
from media_gateway.relay_watch import ALONE_AFTER_S, GIVEN_UP_AFTER_S, RelayWatch, RelayWatchTiming
from tests.support.eventually import eventually


@dataclass
class Table:
    """A lease table and an inbox."""

    overdue_calls: list[OverdueLease] = field(default_factory=list)
    put: list[tuple[InboxEntry, str]] = field(default_factory=list)
    away: bool = False

    async def overdue(self, call_ids: Iterable[str]) -> list[OverdueLease]:
        if self.away:
            raise OutsideError("Redis is unavailable", retry=True)
        return [one for one in self.overdue_calls if one.call_id in set(call_ids)]

    async def put_as_owner(self, entry: InboxEntry, owner_text: str) -> bool:
        self.put.append((entry, owner_text))
        return True


@dataclass
class Call:
    call_id: str
    is_alone: bool = False

    def alone(self, alone: bool) -> None:
        self.is_alone = alone


def _watch(table: Table, *calls: Call, timing: RelayWatchTiming | None = None) -> RelayWatch:
    return RelayWatch(cast(Leases, table), cast(Inbox, table), lambda: calls, timing)


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


async def test_a_call_is_alone_while_redis_is_unavailable() -> None:
    table, call = Table(away=True), Call("call")
    timing = RelayWatchTiming(look_s=0.01, redis_away_s=0.1)
    running = asyncio.create_task(_watch(table, call, timing=timing).run())
    await eventually(lambda: call.is_alone)
    table.away = False
    await eventually(lambda: not call.is_alone)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
