"""Removal of dead consumers from the group of the inbox."""

from __future__ import annotations

from bridge_common.redis.clients import RedisClients
from bridge_common.store.inbox import Inbox, InboxTiming
from bridge_common.wire.entries import HangUp
from bridge_common.wire.keys import INBOX_GROUP, Keys
from tests.support.eventually import eventually

CALL = "call_000000000000000000000001"


def _inbox(clients: RedisClients, keys: Keys, name: str, forget_after_ms: int = 60_000) -> Inbox:
    timing = InboxTiming(forget_after_ms=forget_after_ms)
    return Inbox(clients.control, clients.blocking, keys, name, timing=timing)


async def test_dead_consumers_are_removed_from_the_group(clients: RedisClients, keys: Keys) -> None:
    live, dead, holding = (_inbox(clients, keys, name) for name in ("live", "dead", "holding"))
    assert await live.forget_dead_consumers([]) == 0, "no group yet"
    await live.ensure_group()
    await live.put(HangUp(CALL, "operator", ""))
    await holding.read(block_ms=10)
    # Before Redis 7.2 a group lists a consumer only after a delivery.
    for one in (live, dead):
        await live.put(HangUp(CALL, "operator", ""))
        [delivery] = await one.read(block_ms=10)
        await one.ack(delivery)
    names = [row["name"] for row in await clients.control.xinfo_consumers(keys.inbox(keys.tag(CALL)), INBOX_GROUP)]
    assert sorted(names) == [b"dead", b"holding", b"live"]
    soon = _inbox(clients, keys, "live", forget_after_ms=5)
    assert await _inbox(clients, keys, "live", forget_after_ms=0).forget_dead_consumers(["dead"]) == 0
    assert await live.forget_dead_consumers([]) == 0, "idle for a moment only"

    async def forgotten() -> bool:
        return await soon.forget_dead_consumers([]) == 1

    await eventually(forgotten)
    rows = await clients.control.xinfo_consumers(keys.inbox(keys.tag(CALL)), INBOX_GROUP)
    assert sorted(row["name"] for row in rows) == [b"holding", b"live"], "a consumer with pending entries stays"
