"""One call's traffic, encoded once: what a media socket, a voice socket and Redis carry, ready to be written.

The forms are those of the wire: the ACS audio streaming docs, the Voice Live API reference 2026-07-15, and the entries
of `bridge_common`.
"""

from __future__ import annotations

import base64
import json
import random
from dataclasses import dataclass
from typing import Final

from bench.bridges import Shape
from bridge_common.streams.writer import Outlet
from bridge_common.wire.audio import FRAME_MS, PHONE_RATE_HZ, VOICE_RATE_HZ, bytes_of_ms
from bridge_common.wire.entries import Audio, AudioFrame, Entry

FRAMES_PER_S: Final = 1000 // FRAME_MS
DELTA_MS: Final = {Shape.ECHO: FRAME_MS, Shape.DELTAS: 250}
ITEM_ID: Final = "item_recorded"
RESPONSE_ID: Final = "resp_recorded"
_CALLER: Final = "4:+14255550100"
_LOUDNESS: Final = 4000
_TEXT_FRAME: Final = 0x81
_MASKED: Final = 0x80
_NO_MASK: Final = bytes(4)
"""A mask of zeros changes nothing, and the receiver takes it off like any other."""


def sound(ms: float, rate_hz: int, seed: int = 1) -> bytes:
    """Noise as loud as speech: silence would compress, and a tone repeats."""
    samples = bytes_of_ms(ms, rate_hz) // 2
    dice = random.Random(seed)
    return b"".join(dice.randint(-_LOUDNESS, _LOUDNESS).to_bytes(2, "little", signed=True) for _ in range(samples))


# -- the media socket, as ACS writes it
def client_frame(text: bytes) -> bytes:
    """A whole WebSocket text frame of a client (RFC 6455, 5.2)."""
    length = len(text)
    if length < 126:
        return bytes([_TEXT_FRAME, _MASKED | length]) + _NO_MASK + text
    if length < 2**16:
        return bytes([_TEXT_FRAME, _MASKED | 126]) + length.to_bytes(2, "big") + _NO_MASK + text
    raise ValueError(f"no message of a call has {length} bytes")


def audio_metadata() -> bytes:
    told = {
        "subscriptionId": "recorded",
        "encoding": "PCM",
        "sampleRate": PHONE_RATE_HZ,
        "channels": 1,
        "length": bytes_of_ms(FRAME_MS, PHONE_RATE_HZ),
    }
    return json.dumps({"kind": "AudioMetadata", "audioMetadata": told}).encode()


def audio_data(pcm16k: bytes) -> bytes:
    told = {
        "timestamp": "2026-01-01T00:00:00.000Z",
        "participantRawID": _CALLER,
        "data": base64.b64encode(pcm16k).decode(),
        "silent": False,
    }
    return json.dumps({"kind": "AudioData", "audioData": told}, separators=(",", ":")).encode()


# -- the voice socket, as Voice Live writes it
def voice_event(kind: str, **parts: object) -> bytes:
    return json.dumps({"event_id": "event_recorded", "type": kind, **parts}, separators=(",", ":")).encode()


def session_event(kind: str) -> bytes:
    return voice_event(kind, session={"id": "sess_recorded", "object": "realtime.session", "model": "recorded"})


def response_created() -> bytes:
    response = {"id": RESPONSE_ID, "object": "realtime.response", "status": "in_progress", "output": []}
    return voice_event("response.created", response=response)


def audio_delta(pcm24k: bytes) -> bytes:
    return voice_event(
        "response.audio.delta",
        response_id=RESPONSE_ID,
        item_id=ITEM_ID,
        output_index=0,
        content_index=0,
        delta=base64.b64encode(pcm24k).decode(),
    )


# -- Redis
class Appends:
    """The appends to one stream, packed by the services' own outlet; ids count up within epoch 1."""

    sharded = False

    def __init__(self, key: str) -> None:
        self._outlet = Outlet(self, key, 1, lambda: None)
        self._packed = b""

    def next(self, entry: Entry) -> bytes:
        """The commands that append the entry and tell of it."""
        self._outlet.append(entry)
        return self._packed

    def queue(self, _outlet: Outlet, commands: bytes) -> None:
        """As a writer's queue."""
        self._packed = commands


@dataclass(frozen=True, slots=True)
class Recording:
    """All that flows in one call of this shape."""

    media_frame: bytes
    """20 ms of the caller on the media socket, with the WebSocket frame around it."""
    uplink: Entry
    """20 ms of the caller, as an entry."""
    downlink: Entry
    """One delta of the agent, as an entry."""
    delta: bytes
    """One delta of the agent on the voice socket."""
    delta_ms: int

    @classmethod
    def of(cls, shape: Shape) -> Recording:
        delta_ms = DELTA_MS[shape]
        agent = sound(delta_ms, VOICE_RATE_HZ)
        return cls(
            media_frame=client_frame(audio_data(sound(FRAME_MS, PHONE_RATE_HZ))),
            uplink=AudioFrame(sound(FRAME_MS, VOICE_RATE_HZ)),
            downlink=Audio(ITEM_ID, agent),
            delta=audio_delta(agent),
            delta_ms=delta_ms,
        )

    @property
    def deltas_per_s(self) -> float:
        return 1000 / self.delta_ms
