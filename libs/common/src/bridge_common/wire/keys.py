"""Redis keys, consumer groups and limits that several services use. Those of a single service are defined in that
service.

All keys of a call contain the hash tag `{sNN}` of its shard, so that scripts and reads of several keys stay in one
slot.
"""

from __future__ import annotations

from typing import Final

from bridge_common.base.ids import shard_of

INBOX_GROUP: Final = "call-control"

MEDIA_STREAM_LENGTH: Final = 250
"""Maximum entries of an uplink or downlink: 5 s of frames. Older audio is useless."""
LONG_ENTRY_BYTES: Final = 4096
LONG_ENTRIES_KEPT: Final = 130
"""Maximum entries in a stream whose entries have `LONG_ENTRY_BYTES` or more: half a minute of speech in deltas of 250
ms, 1.5 MB.
"""
INBOX_LENGTH: Final = 100_000
WAKE_LENGTH: Final = 100
WAKE_SAY: Final = b"say"
"""Field of a wake-up notification with the id of a call that has an announcement."""
TRANSCRIPT_LENGTH: Final = 10_000
SAY_LENGTH: Final = 2_000
"""Maximum pending announcement pieces of one call."""
READER_STREAMS: Final = 64
"""Maximum streams per XREAD. With more, the latency grows faster than the saving."""

FINAL_EPOCH: Final = 2**63
"""Epoch of the `Ended` entry: above every real epoch (Unix ms), so that no writer can append after it."""

FLEET: Final = "fleet"
POD_COSTS: Final = "fleet:pod_costs"
"""Key with the name of the call-control process that writes pod deletion costs."""
SEEN_TTL_S: Final = 24 * 3600
LIVE_TTL_S: Final = 26 * 3600
"""TTL of the keys of a live call. It is never refreshed, so it exceeds the length of any call."""
ENDED_TTL_S: Final = 60
"""TTL of the streams of an ended call, so that slow readers still read `Ended`."""


class Keys:
    """Formats the keys for a number of shards (`REDIS_SHARDS`; 1 on a single server).

    `spread`: the shards may be on several servers (`REDIS_CLUSTER`), so that no command may use keys of two shards.
    """

    def __init__(self, shards: int = 1, *, spread: bool = False) -> None:
        self.shards = shards
        self.spread = spread
        self._tags = [_tag(shard) for shard in range(shards)]

    def parts(self) -> list[Keys]:
        """Divide these keys into parts, so that one command may use all shards of a part (`all_tags`)."""
        if not self.spread:
            return [self]
        parts = [Keys(self.shards) for _ in self._tags]
        for part, tag in zip(parts, self._tags, strict=True):
            part._tags = [tag]
        return parts

    def tag(self, call_id: str) -> str:
        return _tag(shard_of(call_id, self.shards))

    def all_tags(self) -> list[str]:
        return list(self._tags)

    # -- of one call
    def record(self, call_id: str) -> str:
        return f"{self.tag(call_id)}:call:{call_id}"

    def uplink(self, call_id: str) -> str:
        return f"{self.record(call_id)}:uplink"

    def downlink(self, call_id: str) -> str:
        return f"{self.record(call_id)}:downlink"

    def say(self, call_id: str) -> str:
        """Stream of announcement pieces that are not spoken yet."""
        return f"{self.record(call_id)}:say"

    def transcript(self, call_id: str) -> str:
        return f"{self.record(call_id)}:transcript"

    def erased(self, call_id: str) -> str:
        """Key that marks the call as erased, so that late writes cannot restore its data."""
        return f"{self.record(call_id)}:erased"

    # -- of one shard
    def leases(self, tag: str) -> str:
        """ZSET of the shard's leases: call id → expiry in Unix ms, on Redis's clock."""
        return f"{tag}:leases"

    def owners(self, tag: str) -> str:
        """HASH of the shard's call owners: call id → `owner|epoch`, the newest claim of the call.

        The Lua scripts in `store` write additional fields for a call: `<call id>:uplink`, the last uplink entry that
        the owner has forwarded; `<call id>:speaker`, `owner|epoch` that released the lease and kept the downlink;
        `<call id>:stopped`, `owner|epoch`, audio id and tone id of `Leases.note_stop`. Two fields for the whole shard,
        in Unix ms, detect outages: `:served`, time of the last claim or renewal; `:quiet_until`, end of the time in
        which owned calls are reserved for their owners.
        """
        return f"{tag}:owners"

    def inbox(self, tag: str) -> str:
        return f"{tag}:inbox"

    def wake(self, tag: str) -> str:
        return f"{tag}:wake"

    def timers(self, tag: str) -> str:
        return f"{tag}:timers"

    def calls(self, tag: str) -> str:
        """Index of the calls by creation time, for listings."""
        return f"{tag}:calls"

    def seen(self, tag: str, event_id: str) -> str:
        return f"{tag}:seen:{event_id}"


def _tag(shard: int) -> str:
    return f"{{s{shard:02d}}}"
