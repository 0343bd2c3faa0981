"""What one call takes of each network beside Redis, from the messages as they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent_relay.core.protocol.voice_codec import encode_append
from bench.bridges import Shape
from bench.recorded import FRAMES_PER_S, Recording, client_frame, sound
from bridge_common.wire.audio import FRAME_MS, PHONE_RATE_HZ, VOICE_RATE_HZ
from media_gateway.core.acs_media import encode_audio

_SERVER_HEAD_BYTES: Final = 4
"""Of a WebSocket frame between 126 bytes and 64 KB that is not masked."""


@dataclass(frozen=True, slots=True)
class WireSizes:
    """KB (1,000 bytes) a second of one call, without TCP, IP and TLS; of the agent's speech: while it lasts."""

    acs_in_kb: float
    acs_out_kb: float
    """In messages of 20 ms; larger ones save a few per cent."""
    voice_out_kb: float
    voice_in_kb: float

    @classmethod
    def of_recording(cls) -> WireSizes:
        recording = Recording.of(Shape.DELTAS)
        to_acs = len(encode_audio(sound(FRAME_MS, PHONE_RATE_HZ))) + _SERVER_HEAD_BYTES
        to_voice = len(client_frame(encode_append(sound(FRAME_MS, VOICE_RATE_HZ))))
        from_voice = len(recording.delta) + _SERVER_HEAD_BYTES
        return cls(
            acs_in_kb=len(recording.media_frame) * FRAMES_PER_S / 1000,
            acs_out_kb=to_acs * FRAMES_PER_S / 1000,
            voice_out_kb=to_voice * FRAMES_PER_S / 1000,
            voice_in_kb=from_voice * recording.deltas_per_s / 1000,
        )
