"""Measures how much of the gateway's recorded apology a caller heard, from the audio that the simulated ACS played."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soxr

from lab.heard_audio import SILENCE_RMS, Samples, find_speech, last_sound_s

RECORDING_PATH: Final = Path(__file__).parents[4] / "services/media-gateway/src/media_gateway/apology.wav"
PIECE_S: Final = 0.3
PAUSE_S: Final = 1.0
"""Longest accepted pause between two pieces; after a longer one, the apology counts as interrupted."""
ALIKE: Final = 0.9
"""Minimum correlation of a piece that was heard: after resampling and under a fading hold tone it is above 0.95."""


@dataclass(frozen=True, slots=True)
class HeardApology:
    share: float
    """The heard share of the apology's samples, 0 to 1."""
    end_s: float
    """The end of the last piece that was heard, in seconds from the start of the recording."""

    @property
    def whole(self) -> bool:
        return self.share == 1.0


def recorded_apology(rate_hz: int, path: Path = RECORDING_PATH) -> Samples:
    """Return the gateway's default apology, without the silence at its end."""
    with wave.open(str(path), "rb") as recording:
        own_hz = recording.getframerate()
        samples = np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2").astype(np.float64)
    found: Samples = soxr.resample(samples, own_hz, rate_hz)
    return found[: int(last_sound_s(found, rate_hz, 0.0, len(found) / rate_hz) * rate_hz)]


def find_apology(agent: Samples, rate_hz: int, apology: Samples, *, from_s: float) -> HeardApology:
    """Find the pieces of the apology in their order. Pauses up to `PAUSE_S` between pieces are accepted, missing pieces
    are not.
    """
    heard, whole, at_s, missed_s = 0, 0, from_s, float("inf")
    for piece in np.array_split(apology, max(1, round(len(apology) / rate_hz / PIECE_S))):
        length_s = len(piece) / rate_hz
        if np.sqrt((piece**2).mean()) <= SILENCE_RMS:
            missed_s += length_s
            continue
        whole += len(piece)
        stretch = agent[: round(min((at_s + missed_s + PAUSE_S + length_s) * rate_hz, len(agent)))]
        found = find_speech(stretch, rate_hz, piece.astype("<i2").tobytes(), from_s=max(at_s, 0.0))
        if found.likeness >= ALIKE:
            heard, at_s, missed_s = heard + len(piece), found.at_s + length_s, 0.0
        else:
            missed_s += length_s
    return HeardApology(heard / whole if whole else 0.0, at_s)
