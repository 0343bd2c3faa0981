"""Prepared messages of a call, and the memory of its streams in Redis."""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass
from typing import Final

import redis

from bench.bridges import Shape
from bridge_common.streams.writer import TRIM_EVERY
from bridge_common.wire.audio import FRAME_MS, PHONE_RATE_HZ, VOICE_RATE_HZ, bytes_of_ms
from bridge_common.wire.entries import Audio, AudioFrame, Entry
from bridge_common.wire.entry_codec import FIELD, encode
from bridge_common.wire.keys import LONG_ENTRIES_KEPT, LONG_ENTRY_BYTES, MEDIA_STREAM_LENGTH
from lab.acs.media_codec import AudioEncoder
from lab.voice_live.server_events import encode_event, event

FRAMES_PER_S: Final = 1000 // FRAME_MS
ITEM_ID: Final = "item_recorded"
RESPONSE_ID: Final = "resp_recorded"
_LOUDNESS: Final = 4000
_STREAM: Final = "bench:stream"


def audio(ms: float, rate_hz: int) -> bytes:
    """Generate noise at the level of speech, from a fixed seed."""
    dice = random.Random(1)
    samples = bytes_of_ms(ms, rate_hz) // 2
    return b"".join(dice.randint(-_LOUDNESS, _LOUDNESS).to_bytes(2, "little", signed=True) for _ in range(samples))


def voice_event(kind: str, **parts: object) -> bytes:
    return encode_event(event(kind, **parts)).encode()


def audio_delta(pcm24k: bytes) -> bytes:
    item = {"response_id": RESPONSE_ID, "item_id": ITEM_ID, "output_index": 0, "content_index": 0}
    return voice_event("response.audio.delta", **item, delta=base64.b64encode(pcm24k).decode())


@dataclass(frozen=True, slots=True)
class Recording:
    """The messages of a call with one shape of the agent's speech."""

    media_message: bytes
    """Message with 20 ms of the caller on the media socket."""
    uplink: Entry
    """Uplink entry with 20 ms of the caller."""
    downlink: Entry
    """Downlink entry with one delta of the agent."""
    delta: bytes
    """Message with one delta of the agent on the voice socket."""

    @classmethod
    def of(cls, shape: Shape) -> Recording:
        agent = audio(shape.delta_ms, VOICE_RATE_HZ)
        caller = AudioEncoder("4:+14255550100")
        return cls(
            media_message=caller.encode(audio(FRAME_MS, PHONE_RATE_HZ), b"2026-01-01T00:00:00.000Z"),
            uplink=AudioFrame(audio(FRAME_MS, VOICE_RATE_HZ)),
            downlink=Audio(ITEM_ID, agent),
            delta=audio_delta(agent),
        )


def stream_mb(asking: redis.Redis, entry: Entry) -> float:
    """Return the Redis memory (MB) of a stream filled with this entry up to the length at which the writer trims it."""
    payload = encode(entry)
    kept = MEDIA_STREAM_LENGTH if len(payload) < LONG_ENTRY_BYTES else LONG_ENTRIES_KEPT
    with asking.pipeline(transaction=False) as pipeline:
        for _ in range(2 * kept):
            pipeline.xadd(_STREAM, {FIELD: payload}, maxlen=kept, approximate=True)
        for _ in range(TRIM_EVERY - 1):
            pipeline.xadd(_STREAM, {FIELD: payload})
        pipeline.execute()
    taken = int(asking.memory_usage(_STREAM, samples=0) or 0)
    asking.unlink(_STREAM)
    return taken / 2**20
