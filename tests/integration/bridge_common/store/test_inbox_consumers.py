"""Who may write into the inbox as a call's relay, and which consumers its group remembers."""

from __future__ import annotations

from bridge_common.redis.clients import RedisClients
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Leases
from bridge_common.wire.entries import HangUp, VoiceLost
from bridge_common.wire.keys import INBOX_GROUP, Keys
from tests.support.eventually import eventually

CALL = "call_000000000000000000000001"


def _inbox(clients: RedisClients, keys: Keys, name: str) -> Inbox:
    return Inbox(clients.control, clients.blocking, keys, name)


async def test_only_the_holder_of_the_lease_speaks_for_the_call(clients: RedisClients, keys: Keys) -> None:
    inbox = _inbox(clients, keys, "control")
    await inbox.ensure_group()
    old, new = Leases(clients.control, keys, "relay-1"), Leases(clients.control, keys, "relay-2")
    await old.offer(CALL)
    [claim] = await old.claim(1)
    lost = VoiceLost(CALL, claim.epoch, "budget spent")
    assert await inbox.put_as_owner(lost, old.owner_text(claim))
    await old.release(claim)
    [taken] = await new.claim(1)
    assert not await inbox.put_as_owner(lost, old.owner_text(claim)), "it is another's call now"
    assert not await inbox.put_as_owner(lost, old.owner_text(taken))
    await new.end(CALL)
    assert not await inbox.put_as_owner(lost, new.owner_text(taken)), "it is over"
    assert [delivery.entry for delivery in await inbox.read(block_ms=10)] == [lost]


async def test_processes_that_are_gone_leave_the_group(clients: RedisClients, keys: Keys) -> None:
    live, dead, holding = (_inbox(clients, keys, name) for name in ("live", "dead", "holding"))
    assert await live.forget_dead_consumers([]) == 0, "no group yet"
    await live.ensure_group()
    await live.put(HangUp(CALL, "operator", ""))
    await holding.read(block_ms=10)
    # Before Redis 7.2 the group remembers a consumer only once it was given something.
    for one in (live, dead):
        await live.put(HangUp(CALL, "operator", ""))
        [delivery] = await one.read(block_ms=10)
        await one.ack(delivery)
    names = [row["name"] for row in await clients.control.xinfo_consumers(keys.inbox(keys.tag(CALL)), INBOX_GROUP)]
    assert sorted(names) == [b"dead", b"holding", b"live"]
    assert await live.forget_dead_consumers(["dead"], idle_ms=0) == 0
    assert await live.forget_dead_consumers([]) == 0, "it was here a moment ago"

    async def forgotten() -> bool:
        return await live.forget_dead_consumers([], idle_ms=5) == 1

    await eventually(forgotten)
    rows = await clients.control.xinfo_consumers(keys.inbox(keys.tag(CALL)), INBOX_GROUP)
    assert sorted(row["name"] for row in rows) == [b"holding", b"live"], "what is pending is not lost"
