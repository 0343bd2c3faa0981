"""Detects faults in the audio of a call: one-way, silent and clipped audio.

It inspects one frame of the caller for each check, not all of them: the faults last for seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

_FULL_SCALE: Final = 32_767
_SPEECH_PEAK: Final = 2_000
"""A frame whose peak is higher may contain speech: about -24 dBFS, above the noise of a line."""
_PCM: Final = np.dtype("<i2")


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """Limits beyond which audio is faulty. Times are in seconds."""

    no_uplink_s: float = 5.0
    silent_s: float = 60.0
    clipping_s: float = 10.0
    clipped_share: float = 0.01
    """Share of the samples at full scale."""
    no_downlink_s: float = 30.0


class AudioFault(StrEnum):
    NO_UPLINK = "no_uplink"
    """No audio from ACS."""
    SILENT_UPLINK = "silent_uplink"
    """Digital silence from ACS while the agent spoke: a telephone line always has some noise."""
    CLIPPED_UPLINK = "clipped_uplink"
    NO_DOWNLINK = "no_downlink"
    """No audio to ACS after the caller spoke, not even the hold tone. To a silent caller nothing is due."""


class AudioHealth:
    """The audio of one media socket. Call `check` twice a second. Times are seconds on the caller's clock."""

    def __init__(self, now: float, limits: AudioLimits | None = None) -> None:
        self._limits = limits or AudioLimits()
        self._found: set[AudioFault] = set()
        self._heard_at = now
        self._silent_since: float | None = None
        self._spoken_before = 0
        self._window_at = now
        self._samples = 0
        self._clipped = 0
        self._due_since: float | None = None
        """When the caller spoke first after the agent, the hold tone or other people were heard last."""

    def check(
        self, now: float, frame: bytes | None, *, spoken_bytes: int, playing_until: float, bridged: bool
    ) -> list[AudioFault]:
        """Return the faults that were not found before.

        `frame`: PCM of a frame that has arrived since the last check, empty for a frame that ACS marks as silent; None:
        no frame has arrived. `spoken_bytes`: audio of the agent that was sent so far. `playing_until`: when all audio
        that was sent will have been played. `bridged`: people in the call talk with each other, without the agent.
        """
        if bridged or playing_until >= now:
            self._due_since = None
        elif self._due_since is None and frame and _peak(frame) >= _SPEECH_PEAK:
            self._due_since = now
        waits_s = 0.0 if self._due_since is None else now - self._due_since
        found = {AudioFault.NO_DOWNLINK} if waits_s >= self._limits.no_downlink_s else set[AudioFault]()
        if frame is None:
            found |= {AudioFault.NO_UPLINK} if now - self._heard_at >= self._limits.no_uplink_s else set()
        else:
            self._heard_at = now
            if self._is_silent(now, frame, spoken_bytes):
                found.add(AudioFault.SILENT_UPLINK)
            if self._is_clipped(now, frame):
                found.add(AudioFault.CLIPPED_UPLINK)
        new = found - self._found
        self._found |= new
        return sorted(new)

    def _is_silent(self, now: float, frame: bytes, spoken_bytes: int) -> bool:
        if frame.count(0) < len(frame):
            self._silent_since = None
            return False
        if self._silent_since is None:
            self._silent_since, self._spoken_before = now, spoken_bytes
        return now - self._silent_since >= self._limits.silent_s and spoken_bytes > self._spoken_before

    def _is_clipped(self, now: float, frame: bytes) -> bool:
        """Count the samples at full scale. Return whether they were too many, at the end of each window."""
        if frame:
            samples = np.frombuffer(frame, _PCM)
            self._samples += len(samples)
            self._clipped += int(np.count_nonzero((samples >= _FULL_SCALE) | (samples <= -_FULL_SCALE)))
        if now - self._window_at < self._limits.clipping_s:
            return False
        clipped = self._clipped > self._limits.clipped_share * self._samples
        self._window_at, self._samples, self._clipped = now, 0, 0
        return clipped


def _peak(frame: bytes) -> int:
    return int(np.abs(np.frombuffer(frame, _PCM).astype(np.int32)).max())
