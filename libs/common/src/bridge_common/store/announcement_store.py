"""Announcements requested through the API: a stream of text pieces per call, and the progress of speaking them.

call-control appends and the owner of the call reads. Spoken pieces are trimmed, so that the next owner of the call
finds only the remaining ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from redis.asyncio import Redis

from bridge_common.redis.clients import redis_errors
from bridge_common.redis.scripts import script_folder
from bridge_common.store.leases import Claim
from bridge_common.wire.call_record import Status
from bridge_common.wire.entries import Instruct, Say
from bridge_common.wire.entry_codec import encode
from bridge_common.wire.keys import LIVE_TTL_S, SAY_LENGTH, WAKE_LENGTH, Keys

_LIVE: Final = tuple(status.value for status in Status if status.live)


class AnnouncementOutcome(StrEnum):
    ADDED = "added"
    UNKNOWN = "unknown"
    ENDED = "ended"
    """The call has ended."""
    INTERRUPTED = "interrupted"
    """The caller or another announcement has interrupted this one; further pieces of it are dropped."""
    FULL = "full"
    """Too many pieces are pending."""
    OFTEN = "often"
    """Too many announcements were requested in this minute."""


@dataclass(frozen=True, slots=True)
class Added:
    outcome: AnnouncementOutcome
    retry_ms: int = 0


class AnnouncementStore:
    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        script = script_folder(redis, "bridge_common.store")
        self._add = script("announcement_add")
        self._instruct = script("announcement_instruct")
        self._note = script("announcement_note")

    async def add(self, call_id: str, piece: Say, *, most_a_minute: int) -> Added:
        """Append a piece; the first one of an announcement wakes the relays."""
        keys, tag = self._keys, self._keys.tag(call_id)
        async with redis_errors("adding an announcement"):
            outcome, retry_ms = await self._add(
                keys=[keys.record(call_id), keys.say(call_id), keys.wake(tag)],
                args=[
                    *(call_id, piece.say_id, encode(piece), int(piece.at == 0), LIVE_TTL_S),
                    *(SAY_LENGTH, most_a_minute, WAKE_LENGTH),
                    *_LIVE,
                ],
            )
        return Added(AnnouncementOutcome(outcome.decode()), int(retry_ms))

    async def instruct(self, call_id: str, instruction: Instruct) -> None:
        """Append an instruction and wake the relays. Does nothing if the call is not live."""
        keys, tag = self._keys, self._keys.tag(call_id)
        async with redis_errors("instructing the relay"):
            await self._instruct(
                keys=[keys.record(call_id), keys.say(call_id), keys.wake(tag)],
                args=[call_id, encode(instruction), LIVE_TTL_S, WAKE_LENGTH, *_LIVE],
            )

    async def waits(self, call_id: str) -> bool:
        """Whether the call has had an announcement."""
        async with redis_errors("checking for announcements"):
            return bool(await self._redis.exists(self._keys.say(call_id)))

    async def note_said(self, claim: Claim, owner_text: str, *, said: str, dropped: str, keep_from: str) -> bool:
        """Store the progress of the announcements. Returns False if the lease no longer belongs to this claim
        (`Leases.owner_text`).

        `said` as in `CallRecord`; `dropped`: ids of interrupted announcements, separated by spaces; `keep_from`: entry
        id of the oldest piece that is still needed, "" to keep all.
        """
        keys, call_id = self._keys, claim.call_id
        async with redis_errors("storing the progress of announcements"):
            stored = await self._note(
                keys=[keys.record(call_id), keys.owners(keys.tag(call_id)), keys.say(call_id)],
                args=[call_id, owner_text, said, dropped, keep_from],
            )
        return bool(stored)
