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
        """What `feed` gives for the sound of a message of ACS that is a plain frame of 20 ms, read in the same step.
        None: nothing was fed, `acs_media` has to read it. Always None where nothing is compiled.
        """

    def flush(self) -> bytes:
        """What the delay still held back. Afterwards the next sound starts from silence."""

    def reset(self) -> None:
        """Forget what was fed: nothing of it sounds in what comes out next."""


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
