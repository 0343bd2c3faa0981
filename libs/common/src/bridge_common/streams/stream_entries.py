"""Replies of XREAD and XREADGROUP, and their entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from redis.asyncio import Redis

from bridge_common.redis.clients import command
from bridge_common.wire.entries import Entry
from bridge_common.wire.entry_codec import FIELD, decode

Fields: TypeAlias = Mapping[bytes, bytes]
PRIVATE: Final = b"p"
"""Field that marks a transcript entry as not shown to users."""
Reply: TypeAlias = Mapping[bytes, Sequence[Sequence[tuple[bytes, Fields | None]]]]


async def xread(redis: Redis, cursors: Mapping[str, str], *, count: int, block_ms: int) -> Reply | None:
    """Run one XREAD. The method of redis-py is annotated for all protocols at once; this connection uses RESP3 with
    byte replies.
    """
    # BLOCK 0 would block forever.
    reply: Reply | None = await command(
        redis, "XREAD", "COUNT", count, "BLOCK", max(block_ms, 1), "STREAMS", *cursors.keys(), *cursors.values()
    )
    return reply


def entries_of(reply: Reply | None) -> Iterator[tuple[str, str, Fields]]:
    """Yield (key, entry id, fields) from an XREAD or XREADGROUP reply in RESP3, without deleted entries."""
    for key, batches in (reply or {}).items():
        for batch in batches:
            for entry_id, content in batch:
                if content is not None:
                    yield key.decode(), entry_id.decode(), content


def decode_fields(content: Fields) -> Entry | None:
    """Decode the fields of a stream entry. Returns None for a kind of a newer version. Raises `EntryError`."""
    return decode(content.get(FIELD, b""))
