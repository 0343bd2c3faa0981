"""The sending side of the inbox of call-control."""

from __future__ import annotations

from redis.asyncio import Redis

from bridge_common.redis.clients import redis_errors
from bridge_common.redis.scripts import script_folder
from bridge_common.wire.entries import InboxEntry
from bridge_common.wire.entry_codec import FIELD, encode
from bridge_common.wire.keys import INBOX_LENGTH, SEEN_TTL_S, Keys


class InboxSender:
    def __init__(self, control: Redis, keys: Keys) -> None:
        self._control = control
        self._keys = keys
        script = script_folder(control, "bridge_common.store")
        self._put_once = script("inbox_put_once")
        self._put_as_owner = script("inbox_put_as_owner")

    async def put(self, entry: InboxEntry) -> None:
        """Append the entry. After a lost connection it may be stored twice; delivery is at least once anyway."""
        inbox = self._keys.inbox(self._keys.tag(entry.call_id))
        async with redis_errors("writing to the inbox"):
            await self._control.xadd(inbox, {FIELD: encode(entry)}, maxlen=INBOX_LENGTH, approximate=True)

    async def put_once(self, entry: InboxEntry, *event_ids: str) -> bool:
        """Append the entry unless any of `event_ids` was seen in the last day. Atomic. Returns False for a
        duplicate.
        """
        tag = self._keys.tag(entry.call_id)
        seen = [self._keys.seen(tag, event_id) for event_id in event_ids]
        async with redis_errors("writing to the inbox"):
            put = await self._put_once(
                keys=[self._keys.inbox(tag), *seen], args=[encode(entry), INBOX_LENGTH, SEEN_TTL_S]
            )
        return put is not None

    async def put_as_owner(self, entry: InboxEntry, owner_text: str) -> bool:
        """Append the entry. Returns False if `owner_text` does not own the call's lease (`Leases.owner_text`)."""
        tag = self._keys.tag(entry.call_id)
        async with redis_errors("writing to the inbox"):
            put = await self._put_as_owner(
                keys=[self._keys.inbox(tag), self._keys.owners(tag)],
                args=[entry.call_id, owner_text, encode(entry), INBOX_LENGTH],
            )
        return bool(put)
