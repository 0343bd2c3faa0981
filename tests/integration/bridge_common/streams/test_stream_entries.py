"""Replies of a real server, and the entries in them."""

from __future__ import annotations

from bridge_common.redis.clients import RedisClients
from bridge_common.streams.stream_entries import decode_fields, entries_of, xread
from bridge_common.wire.entries import Dtmf
from bridge_common.wire.entry_codec import encode


async def test_an_empty_reply_has_no_entries(clients: RedisClients) -> None:
    reply = await xread(clients.blocking, {"nothing": "0-0"}, count=1, block_ms=0)
    assert list(entries_of(reply)) == []
    assert list(entries_of(None)) == []
    assert list(entries_of({b"s": [[(b"1-1", None)]]})) == []


async def test_entries_of_several_streams(clients: RedisClients) -> None:
    for key, entry_id in (("s", "1-1"), ("s", "1-2"), ("t", "7-1")):
        await clients.control.xadd(key, {"e": encode(Dtmf("1"))}, id=entry_id)
    reply = await xread(clients.blocking, {"s": "1-1", "t": "0-0"}, count=10, block_ms=0)
    found = [(key, entry_id, decode_fields(stored)) for key, entry_id, stored in entries_of(reply)]
    assert found == [("s", "1-2", Dtmf("1")), ("t", "7-1", Dtmf("1"))]
