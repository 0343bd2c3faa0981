"""Transcripts of calls in Redis."""

from __future__ import annotations

import logging

from redis.asyncio import Redis

from bridge_common.base.errors import EntryError
from bridge_common.base.log import fields
from bridge_common.redis.clients import command, redis_errors
from bridge_common.redis.scripts import script_folder
from bridge_common.streams.stream_entries import PRIVATE, Fields, decode_fields
from bridge_common.wire.entries import Notice, Saying, TranscriptEntry, Turn
from bridge_common.wire.entry_codec import encode
from bridge_common.wire.keys import LIVE_TTL_S, TRANSCRIPT_LENGTH, Keys

log = logging.getLogger(__name__)


class TranscriptStore:
    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._append_transcript = script_folder(redis, "bridge_common.store")("call_append_transcript")

    async def append_transcript(self, call_id: str, entry: TranscriptEntry, *, private: bool = False) -> None:
        """Append an entry. `private`: only for a relay that takes over the call; not shown to users, and deleted when
        the call ends.
        """
        keys = self._keys
        async with redis_errors("writing the transcript"):
            await self._append_transcript(
                keys=[keys.transcript(call_id), keys.record(call_id), keys.erased(call_id)],
                args=[encode(entry), TRANSCRIPT_LENGTH, LIVE_TTL_S, int(private)],
            )

    async def read_transcript(self, call_id: str) -> list[tuple[str, Turn | Notice]]:
        """Return the entries shown to users, with their ids, in the order in which they were spoken.

        The stored order differs: an interrupted turn is written when the part that the caller heard is known.
        """
        entries = await self._transcript(call_id, private=False)
        shown = [(entry_id, entry) for entry_id, entry in entries if isinstance(entry, Turn | Notice)]
        return sorted(shown, key=lambda row: row[1].at_ms)

    async def read_whole_transcript(self, call_id: str) -> list[TranscriptEntry]:
        """Return all entries in the order stored, for a relay that takes over the call."""
        return [entry for _, entry in await self._transcript(call_id, private=True)]

    async def _transcript(self, call_id: str, *, private: bool) -> list[tuple[str, TranscriptEntry]]:
        """Return the entries in the order stored, with their ids. Entries of other kinds are skipped."""
        async with redis_errors("reading the transcript"):
            stored: list[tuple[bytes, Fields]] = await command(
                self._redis, "XRANGE", self._keys.transcript(call_id), "-", "+"
            )
        found: list[tuple[str, TranscriptEntry]] = []
        for entry_id, content in stored:
            if PRIVATE in content and not private:
                continue
            try:
                entry = decode_fields(content)
            except EntryError as error:
                log.warning("invalid transcript entry skipped", extra=fields(call_id=call_id, error=error.message))
                continue
            if isinstance(entry, Turn | Notice | Saying):
                found.append((entry_id.decode(), entry))
        return found
