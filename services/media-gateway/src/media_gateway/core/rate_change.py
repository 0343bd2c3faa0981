"""Streaming change of the sample rate, with the compiled resampler if it was built, otherwise with numpy.

The output of both sounds the same; the compiled one needs less CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from bridge_common.wire.audio import VOICE_RATE_HZ, frame_bytes
from media_gateway.core.resampler import Resampler


class RateChange(Protocol):
    """A sample rate converter for one direction of a call. Input and output are PCM of any length, whole samples."""

    @property
    def delay_ms(self) -> float:
        """Delay of the output."""

    def feed(self, pcm: bytes) -> bytes: ...

    def feed_message(self, message: memoryview, speaker: bytes | None = None) -> bytes | None:
        """Decode and convert an ACS message that is a plain frame of 20 ms. `speaker`: the only participant id that is
        accepted, empty for a message without an id; None: any.

        Returns None if the message was not processed: `acs_media` must then decode it. Always None without the compiled
        resampler.
        """

    def flush(self) -> bytes:
        """Return the rest of the audio, which is still in the delay line. Further audio starts from silence."""

    def reset(self) -> None:
        """Discard the audio in the delay line."""


ReadFrame: TypeAlias = Callable[[memoryview, int, bytes | None], bytes | None]
"""Returns the audio (so many bytes) of a plain frame of this speaker in an ACS message. None: `acs_media` has to decode
it.
"""


def _fastest() -> tuple[Callable[[int, int], RateChange], ReadFrame]:
    try:
        from media_gateway.core.compiled_resampler import CompiledResampler, plain_frame
    except ModuleNotFoundError:  # installed without a C compiler; a broken build raises ImportError
        return Resampler, lambda message, length, speaker: None
    return CompiledResampler, plain_frame


RESAMPLER, _READ_FRAME = _fastest()


def rate_change(from_hz: int, to_hz: int) -> RateChange:
    return SameRate(to_hz) if from_hz == to_hz else RESAMPLER(from_hz, to_hz)


class SameRate:
    delay_ms = 0.0

    def __init__(self, rate_hz: int = VOICE_RATE_HZ) -> None:
        self._frame_bytes = frame_bytes(rate_hz)

    def feed(self, pcm: bytes) -> bytes:
        return pcm

    def feed_message(self, message: memoryview, speaker: bytes | None = None) -> bytes | None:
        return _READ_FRAME(message, self._frame_bytes, speaker)

    def flush(self) -> bytes:
        return b""

    def reset(self) -> None:
        pass
