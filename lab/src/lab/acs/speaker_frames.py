"""Frames of the media socket for a call with several people: which are sent, for whom, and when. No I/O.

ACS sends at most four dominant speakers in unmixed audio. Everything else about several speakers is not documented and
follows `CallForms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.acs.caller_line import CallerLine
from lab.acs.forms import CallForms
from lab.acs.media_codec import frame_bytes
from lab.acs.room import mix

MAX_SPEAKERS: Final = 4
BURST: Final = 3
_APART_MS: Final = 7.0


@dataclass(frozen=True, slots=True)
class SpeakerFrame:
    """`raw_id`: empty if the message has no participant, `None` for null. `pcm`: `None` is a frame of silence."""

    raw_id: str | None
    pcm: bytes | None
    lag_ms: float = 0.0
    """How much older the timestamp is than the time of sending."""


class SpeakerFrames:
    """Frames of one call."""

    def __init__(self) -> None:
        self._own = bytearray()
        self._bursts: dict[str, list[bytes | None]] = {}

    def unmixed(
        self, lines: Mapping[str, CallerLine], forms: CallForms, now: float, *, caller: str
    ) -> list[SpeakerFrame]:
        """Return the frames of one tick, after `tick` of all `lines`. `join_frames_s` does not delay the frames of the
        `caller` (raw id).
        """
        alone = len(lines) < 2
        chosen: list[tuple[str, bytes | None]] = []
        for raw_id, line in sorted(lines.items(), key=lambda item: item[1].spoken is None):
            joins = raw_id != caller and now < line.opened + forms.join_frames_s
            silent = not alone and line.spoken is None and forms.silent_party == "none" and not line.stopped
            if joins or silent or (line.stopped and forms.stopped_party == "none"):
                continue
            stopped = line.stopped and forms.stopped_party == "silent"
            chosen.append((raw_id, None if stopped else line.frame))
        chosen = chosen[:MAX_SPEAKERS]
        if alone or forms.frame_timing == "together":
            return [SpeakerFrame(raw_id, pcm) for raw_id, pcm in chosen]
        if forms.frame_timing == "apart":
            return [SpeakerFrame(raw_id, pcm, number * _APART_MS) for number, (raw_id, pcm) in enumerate(chosen)]
        return [one for raw_id, pcm in chosen for one in self._in_bursts(raw_id, pcm)]

    def mixed(self, lines: Mapping[str, CallerLine], forms: CallForms) -> SpeakerFrame:
        voices = {
            raw_id: line.frame
            for raw_id, line in lines.items()
            if not line.stopped or forms.stopped_party == "continues"
        }
        loudest = max(voices, key=lambda raw_id: _energy(voices[raw_id]), default="")
        raw_id = {"absent": "", "null": None, "loudest": loudest}[forms.mixed_id]
        own = self._own_frame(lines) if forms.own_audio == "mixed" else None
        return SpeakerFrame(raw_id, mix([*voices.values(), own]))

    def own(self, lines: Mapping[str, CallerLine], forms: CallForms, app: str) -> list[SpeakerFrame]:
        """Return the frame of the application's own audio, if the form is `own_id` and there is one."""
        pcm = self._own_frame(lines) if forms.own_audio == "own_id" else None
        return [] if pcm is None else [SpeakerFrame(app, pcm)]

    def _own_frame(self, lines: Mapping[str, CallerLine]) -> bytes | None:
        """Return 20 ms of the audio that the first person heard from the application; playback is not in frames."""
        line = next(iter(lines.values()), None)
        if line is None:
            return None
        size = frame_bytes(line.rate_hz)
        self._own += line.agent_heard
        if len(self._own) < size:
            return None
        frame, self._own = bytes(self._own[:size]), self._own[size:]
        return frame

    def _in_bursts(self, raw_id: str, pcm: bytes | None) -> list[SpeakerFrame]:
        waiting = self._bursts.setdefault(raw_id, [])
        waiting.append(pcm)
        if len(waiting) < BURST:
            return []
        del self._bursts[raw_id]
        return [SpeakerFrame(raw_id, one, 20.0 * (BURST - 1 - number)) for number, one in enumerate(waiting)]


def _energy(pcm: bytes | None) -> float:
    if pcm is None:
        return 0.0
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    return float(np.dot(samples, samples))
