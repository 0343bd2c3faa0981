"""Call records and their streams in Redis."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio import Redis

from bridge_common.base.errors import EntryError
from bridge_common.base.log import fields
from bridge_common.redis.clients import command, redis_errors
from bridge_common.redis.cluster import server_of
from bridge_common.redis.scripts import script_folder
from bridge_common.store.leases import LEASE_MS, Claim
from bridge_common.store.transcript_store import TranscriptStore
from bridge_common.streams.stream_entries import Fields, decode_fields
from bridge_common.wire.call_record import FOREIGN_FIELDS, CallRecord, Status, decode_record, encode_record
from bridge_common.wire.entries import Due, Ended, Opened, VoiceReady
from bridge_common.wire.entry_codec import encode
from bridge_common.wire.keys import (
    ENDED_TTL_S,
    FINAL_EPOCH,
    INBOX_LENGTH,
    LIVE_TTL_S,
    Keys,
)

log = logging.getLogger(__name__)

DAY_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class MediaGrant:
    """The permission to write a call's uplink under `epoch`, and the position from which to read its downlink."""

    epoch: int
    downlink_cursor: str
    record: CallRecord


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Timers to change together with a call's record. Each `Due` in `set_in_ms` is put into the inbox after its time,
    even if this process has ended by then; timers in `cleared` are canceled.
    """

    set_in_ms: Mapping[Due, int] = field(default_factory=dict)
    cleared: Sequence[Due] = ()

    def to_set(self) -> list[bytes | int]:
        """Return script arguments: timer, in_ms, ..."""
        return [part for due, in_ms in self.set_in_ms.items() for part in (encode(due), in_ms)]


_NONE: Final = Deadlines()


class CallStore(TranscriptStore):
    """Call records and their streams. `record_s`, `transcript_s`: retention of the record and the transcript of an
    ended call.
    """

    def __init__(self, redis: Redis, keys: Keys, *, record_s: int = DAY_S, transcript_s: int = DAY_S) -> None:
        super().__init__(redis, keys)
        self._record_s = record_s
        self._transcript_s = min(transcript_s, record_s)
        script = script_folder(redis, "bridge_common.store")
        self._create = script("call_create")
        self._restore = script("call_restore")
        self._save = script("call_save")
        self._attach = script("call_attach_media")
        self._note_voice = script("call_note_voice")
        self._mark_greeted = script("call_mark_greeted")
        self._end_streams = script("call_end_streams")
        self._erase = script("call_erase")

    async def create(self, record: CallRecord, deadlines: Deadlines = _NONE) -> bool:
        """Store a new call with its two streams and deadlines. Returns False if the call already exists or
        was erased.
        """
        keys, call_id = self._keys, record.call_id
        tag = keys.tag(call_id)
        async with redis_errors("creating a call"):
            created = await self._create(
                keys=[
                    *(keys.record(call_id), keys.uplink(call_id), keys.downlink(call_id)),
                    *(keys.calls(tag), keys.timers(tag), keys.erased(call_id)),
                ],
                args=[
                    *(_token(), call_id, record.created_ms, LIVE_TTL_S, encode(Opened())),
                    *(len(deadlines.set_in_ms), *deadlines.to_set(), *_pairs(encode_record(record))),
                ],
            )
        return bool(created)

    async def restore(self, record: CallRecord, owner_text: str, lease_ms: int = LEASE_MS) -> bool:
        """Store a call that Redis has lost, with both streams and the lease of its relay (`Leases.owner_text`).

        Existing data is not changed. Returns whether that relay has the lease afterwards.
        """
        keys, call_id = self._keys, record.call_id
        tag = keys.tag(call_id)
        async with redis_errors("restoring a call"):
            ours = await self._restore(
                keys=[
                    *(keys.record(call_id), keys.uplink(call_id), keys.downlink(call_id)),
                    *(keys.calls(tag), keys.leases(tag), keys.owners(tag), keys.erased(call_id)),
                ],
                args=[
                    *(call_id, record.created_ms, LIVE_TTL_S, encode(Opened()), owner_text, lease_ms),
                    *_pairs(encode_record(record)),
                ],
            )
        return bool(ours)

    async def forget_key(self, call_id: str, entry_id: str) -> None:
        """Delete the entry of a key from the call's uplink."""
        async with redis_errors("deleting a key entry"):
            await command(self._redis, "XDEL", self._keys.uplink(call_id), entry_id)

    async def load(self, call_id: str) -> CallRecord | None:
        async with redis_errors("loading a call"):
            stored: dict[bytes, bytes] = await command(self._redis, "HGETALL", self._keys.record(call_id))
        return decode_record(stored) if stored else None

    async def load_many(self, call_ids: Sequence[str]) -> dict[str, CallRecord]:
        """Return the existing records of these calls by id, in one round trip. All must be of one shard
        (`Leases.parts`).
        """
        if not call_ids:
            return {}
        redis = server_of(self._redis, self._keys.record(call_ids[0]))
        async with redis_errors("loading calls"), redis.pipeline(transaction=False) as pipeline:
            for call_id in call_ids:
                pipeline.execute_command("HGETALL", self._keys.record(call_id))
            stored: list[dict[bytes, bytes]] = await pipeline.execute()
        return {call_id: decode_record(one) for call_id, one in zip(call_ids, stored, strict=True) if one}

    async def save(self, old: CallRecord, new: CallRecord, deadlines: Deadlines = _NONE) -> bool:
        """Write the changed fields if the record has not changed since `old` was loaded. Otherwise, or without a
        record, return False.

        The stored version becomes that of `old` plus one. `deadlines` change only if the record does.
        """
        before, changed = encode_record(old), list[str]()
        for name, value in encode_record(new).items():
            if name != "version" and name not in FOREIGN_FIELDS and before[name] != value:
                changed += [name, value]
        if not changed:
            return True
        cleared = [encode(due) for due in deadlines.cleared]
        timers: list[bytes | int] = [len(cleared), len(deadlines.set_in_ms), *cleared, *deadlines.to_set()]
        keys = [self._keys.record(new.call_id), self._keys.timers(self._keys.tag(new.call_id))]
        async with redis_errors("saving a call"):
            saved: int = await self._save(keys=keys, args=[_token(), old.version, *timers, *changed])
        return saved == 1

    async def attach_media(self, call_id: str) -> MediaGrant | None:
        """Raise the uplink epoch for a new media socket. Returns None if the call is not live."""
        keys = [self._keys.record(call_id), self._keys.downlink(call_id)]
        async with redis_errors("attaching media"):
            granted = await self._attach(keys=keys, args=[status.value for status in Status if status.live])
        record = await self.load(call_id) if granted else None
        if not granted or record is None:
            return None
        return MediaGrant(int(granted[0]), granted[1].decode(), record)

    async def mark_greeted(self, call_id: str) -> bool:
        """Mark the call as greeted. Returns True for the first relay, which plays the greeting."""
        async with redis_errors("marking the greeting"):
            return bool(await self._mark_greeted(keys=[self._keys.record(call_id)], args=[_token()]))

    async def note_voice(
        self,
        claim: Claim,
        owner_text: str,
        *,
        conversation_id: str,
        voice_session_id: str,
        voice_resource: str,
        announced: bool,
        profile_version: str = "",
        call_reference: str = "",
    ) -> bool:
        """Store the voice session. Returns False if the lease no longer belongs to this claim (`Leases.owner_text`).
        Notifies call-control unless the session was `announced` before.
        """
        keys, call_id = self._keys, claim.call_id
        tag = keys.tag(call_id)
        entry = b"" if announced else encode(VoiceReady(call_id, claim.epoch))
        session = {
            "conversation_id": conversation_id,
            "voice_session_id": voice_session_id,
            "voice_epoch": claim.epoch,
            "voice_resource": voice_resource,
        }
        if profile_version:
            session["profile_version"] = profile_version
        if call_reference:
            session["call_reference"] = call_reference
        async with redis_errors("storing the voice session"):
            ours = await self._note_voice(
                keys=[keys.record(call_id), keys.owners(tag), keys.inbox(tag)],
                args=[
                    call_id,
                    owner_text,
                    entry,
                    INBOX_LENGTH,
                    *_pairs(session),
                ],
            )
        return bool(ours)

    async def end_streams(self, call_id: str, reason: str, *, apologize: bool = False) -> None:
        """Close both streams permanently and set the expiry of all keys of the call. Idempotent."""
        keys = self._keys
        async with redis_errors("ending the streams"):
            await self._end_streams(
                keys=[
                    *(keys.uplink(call_id), keys.downlink(call_id), keys.say(call_id)),
                    *(keys.record(call_id), keys.transcript(call_id)),
                ],
                args=[
                    *(f"{FINAL_EPOCH}-0", encode(Ended(reason, apologize)), ENDED_TTL_S),
                    *(self._record_s, self._transcript_s),
                ],
            )

    async def erase(self, record: CallRecord) -> bool:
        """Delete all data of the call permanently. Returns False if the record was changed since it was loaded."""
        keys, call_id = self._keys, record.call_id
        tag = keys.tag(call_id)
        async with redis_errors("erasing a call"):
            erased = await self._erase(
                keys=[
                    *(keys.record(call_id), keys.uplink(call_id), keys.downlink(call_id), keys.say(call_id)),
                    *(keys.transcript(call_id), keys.erased(call_id)),
                    *(keys.calls(tag), keys.leases(tag), keys.owners(tag)),
                ],
                args=[_token(), call_id, record.version, LIVE_TTL_S],
            )
        return bool(erased)

    async def how_it_ended(self, call_id: str) -> Ended | None:
        """Return the `Ended` entry of the call's streams, or None while the call is live."""
        async with redis_errors("loading the end of a call"):
            last: list[tuple[bytes, Fields]] = await command(
                self._redis, "XREVRANGE", self._keys.downlink(call_id), "+", "-", "COUNT", 1
            )
        if not last:
            return Ended("gone")
        entry = decode_fields(last[0][1])
        return entry if isinstance(entry, Ended) else None

    async def list_calls(self, limit: int = 100) -> list[CallRecord]:
        """Return calls within the retention time, newest first."""
        records: list[CallRecord] = []
        oldest_kept = (time.time() - self._record_s - LIVE_TTL_S) * 1000
        for tag in self._keys.all_tags():
            async with redis_errors("listing calls"):
                await self._redis.zremrangebyscore(self._keys.calls(tag), "-inf", oldest_kept)
                newest: list[bytes] = await command(self._redis, "ZRANGE", self._keys.calls(tag), 0, limit - 1, "REV")
            for call_id in newest:
                try:
                    record = await self.load(call_id.decode())
                except EntryError as error:
                    where = fields(call_id=call_id.decode(), error=error.message)
                    log.warning("invalid call record skipped", extra=where)
                    continue
                if record is not None:
                    records.append(record)
        return sorted(records, key=lambda record: record.created_ms, reverse=True)[:limit]


def _pairs(fields: Mapping[str, Any]) -> list[Any]:
    """Return script arguments: field, value, ..."""
    return [part for row in fields.items() for part in row]


def _token() -> str:
    """Return an id of one attempt, which includes its retries by the Redis client."""
    return uuid.uuid4().hex
