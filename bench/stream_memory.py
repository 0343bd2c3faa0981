"""What the streams of one call take in Redis once they hold all that is kept of them.

Short runs never get there: with deltas of 250 ms a downlink is full only after half a minute of the agent's speech.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import redis

from bench.bridges import Shape
from bench.recorded import DELTA_MS, ITEM_ID, sound
from bridge_common.base.ids import call_id_of
from bridge_common.streams.writer import TRIM_EVERY
from bridge_common.wire.audio import FRAME_MS, VOICE_RATE_HZ
from bridge_common.wire.entries import Audio, AudioFrame
from bridge_common.wire.entry_codec import FIELD, encode
from bridge_common.wire.keys import LONG_ENTRIES_KEPT, LONG_ENTRY_BYTES, MEDIA_STREAM_LENGTH, Keys

_BEYOND: Final = 2
"""So many times the length that is kept: streams are trimmed in steps."""


@dataclass(frozen=True, slots=True)
class StreamMemory:
    """MB of one call's full streams."""

    uplink_mb: float
    downlink_mb: float

    @property
    def together_mb(self) -> float:
        return round(self.uplink_mb + self.downlink_mb, 3)


def full_streams(asking: redis.Redis, shape: Shape) -> StreamMemory:
    keys, call_id = Keys(), call_id_of("full streams")
    uplink = AudioFrame(sound(FRAME_MS, VOICE_RATE_HZ))
    downlink = Audio(ITEM_ID, sound(DELTA_MS[shape], VOICE_RATE_HZ))
    return StreamMemory(
        _filled_mb(asking, keys.uplink(call_id), encode(uplink)),
        _filled_mb(asking, keys.downlink(call_id), encode(downlink)),
    )


def _filled_mb(asking: redis.Redis, key: str, payload: bytes) -> float:
    """The stream is gone again afterwards."""
    kept = MEDIA_STREAM_LENGTH if len(payload) < LONG_ENTRY_BYTES else LONG_ENTRIES_KEPT
    with asking.pipeline(transaction=False) as pipeline:
        for _ in range(_BEYOND * kept):
            pipeline.xadd(key, {FIELD: payload}, maxlen=kept, approximate=True)
        for _ in range(TRIM_EVERY - 1):
            pipeline.xadd(key, {FIELD: payload})
        pipeline.execute()
    taken = int(asking.memory_usage(key, samples=0) or 0)
    asking.unlink(key)
    return round(taken / 2**20, 3)
