"""From one rate to another while the sound flows: the compiled resampler where it was built, numpy's otherwise.

They sound the same; the compiled one costs less.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from media_gateway.core.resampler import Resampler


class RateChange(Protocol):
    """PCM in, PCM out; whole samples, any length."""

    @property
    def delay_ms(self) -> float:
        """How much later sound comes out than it went in."""

    def feed(self, pcm: bytes) -> bytes: ...

    def feed_message(self, message: memoryview) -> bytes | None:
        """The result of `feed` for an ACS message that is a plain frame of 20 ms, decoded in the same step. None:
        nothing was fed, and `acs_media` has to decode the message. Always None without the compiled resampler.
        """

    def flush(self) -> bytes:
        """The rest of the audio, which the delay held back. The next sound starts from silence."""

    def reset(self) -> None:
        """Discard the audio that was fed: none of it is heard in later output."""


def _fastest() -> Callable[[int, int], RateChange]:
    try:
        from media_gateway.core.compiled_resampler import CompiledResampler
    except ModuleNotFoundError:  # installed without a C compiler; a broken one is an ImportError and is seen
        return Resampler
    return CompiledResampler


RESAMPLER: Final = _fastest()


def rate_change(from_hz: int, to_hz: int) -> RateChange:
    return SameRate() if from_hz == to_hz else RESAMPLER(from_hz, to_hz)


class SameRate:
    delay_ms = 0.0

    def feed(self, pcm: bytes) -> bytes:
        return pcm

    def feed_message(self, message: memoryview) -> bytes | None:
        return None

    def flush(self) -> bytes:
        return b""

    def reset(self) -> None:
        pass
