"""The hold tone: soft, and without clicks when it is switched."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media_gateway.core.hold_tone import EVERY_S, PEAK, HoldTone

FRAME_BYTES = 960


def samples(pcm: bytes) -> NDArray[np.int32]:
    return np.frombuffer(pcm, "<i2").astype(np.int32)


def biggest_step(pcm: bytes) -> int:
    return int(np.max(np.abs(np.diff(samples(pcm)))))


def test_it_is_soft_and_repeats() -> None:
    tone = HoldTone(FRAME_BYTES)
    tone.switch(True)
    frames = int(EVERY_S * 50)
    first = b"".join(tone.next_frame() for _ in range(frames))
    again = b"".join(tone.next_frame() for _ in range(frames))
    assert first == again
    assert 0.9 * PEAK <= np.max(np.abs(samples(first))) <= PEAK
    assert biggest_step(first + again) < 0.12 * PEAK


def test_switched_off_in_a_note_it_fades_within_a_frame() -> None:
    tone = HoldTone(FRAME_BYTES)
    tone.switch(True)
    sound = b"".join(tone.next_frame() for _ in range(10))
    tone.switch(False)
    assert tone.sounds, "a note has to fade out"
    sound += tone.next_frame()
    assert samples(sound)[-1] == 0
    assert biggest_step(sound) < 0.12 * PEAK


def test_after_being_cut_off_it_starts_from_silence() -> None:
    tone = HoldTone(FRAME_BYTES)
    tone.switch(True)
    first = tone.next_frame()
    tone.silence()
    assert tone.next_frame() == first


def test_off_it_has_nothing_to_play() -> None:
    assert not HoldTone(FRAME_BYTES).sounds
