"""The hold tone of the media gateway is distinguished from speech."""

from __future__ import annotations

import numpy as np
import pytest

from lab.acs import tone_detector
from lab.acs.hearing import AgentEnds, AgentStarts, Heard, Hearing, HoldToneStarts
from lab.acs.settings import AcsSettings
from lab.acs.tone_detector import HoldToneDetector
from lab.speech import synthesize
from media_gateway.core.hold_tone import PEAK, PITCH_HZ, HoldTone
from media_gateway.core.rate_change import rate_change

THRESHOLD = AcsSettings().sound_threshold
RATES = (16_000, 24_000)
FRAME_BYTES = 960
SENTENCES = (
    "Welcome to Contoso. How can I help you today?",
    "We are open from Monday to Friday, from nine in the morning until six in the evening.",
    "Oh no, who knows? More or less, you do.",
)


def tone(frames: int, rate_hz: int, lead: bytes = b"") -> bytes:
    """The gateway's tone for this many frames of 20 ms, then its end, after `lead` at 24 kHz."""
    source, rate = HoldTone(FRAME_BYTES), rate_change(24_000, rate_hz)
    source.switch(True)
    sound = lead + b"".join(source.next_frame() for _ in range(frames))
    source.switch(False)
    return rate.feed(sound + source.next_frame() + bytes(24_000)) + rate.flush()


def heard(pcm: bytes, rate_hz: int) -> tuple[Hearing, list[Heard]]:
    hearing, frame = Hearing(rate_hz, THRESHOLD), rate_hz // 50 * 2
    events: list[Heard] = []
    for number, at in enumerate(range(0, len(pcm), frame), start=1):
        events += hearing.feed(pcm[at : at + frame], number * 0.02)
    return hearing, events


def test_the_pitch_and_level_are_those_of_the_gateway() -> None:
    assert tone_detector.PITCH_HZ == PITCH_HZ
    assert PEAK / 2**0.5 < tone_detector.LOUDEST_RMS


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("lead", [0, 100, 333])
@pytest.mark.parametrize("frames", [7, 9, 13, 250])
def test_the_tone_is_not_speech(rate_hz: int, lead: int, frames: int) -> None:
    """Also if it ends in the middle of a note, and if its frames do not begin with a block of the phone."""
    hearing, events = heard(tone(frames, rate_hz, bytes(2 * lead)), rate_hz)
    assert [type(event) for event in events] == [HoldToneStarts], "its notes are one event"
    assert hearing.sound_ms == 0


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("gain", [1.0, 0.3, 0.1])
def test_speech_is_not_the_tone(rate_hz: int, gain: float) -> None:
    for sentence in SENTENCES:
        samples = np.frombuffer(synthesize(sentence, rate_hz), dtype="<i2").astype(np.float32) * gain
        size = rate_hz // 50
        blocks = samples[: len(samples) // size * size].reshape(-1, size)
        loud = [block for block in blocks if np.sqrt((block**2).mean()) > THRESHOLD]
        detector = HoldToneDetector(rate_hz)
        assert sum(detector.hears(block) for block in loud) <= len(loud) * 0.02


def test_short_blocks_are_like_the_block_before_them() -> None:
    """Blocks of the phone end with the audio that is due, often after a few samples."""
    pcm, hearing, events = synthesize(SENTENCES[0], 16_000), Hearing(16_000, THRESHOLD), []
    for number, at in enumerate(range(0, len(pcm), 648), start=1):
        events += hearing.feed(pcm[at : at + 648], number * 324 / 16_000)
    assert not [event for event in events if isinstance(event, HoldToneStarts)]
    assert hearing.sound_ms > 1000


def test_speech_after_the_tone_is_heard() -> None:
    rate_hz = 16_000
    pcm = tone(100, rate_hz) + synthesize("Your order is on its way.", rate_hz) + bytes(2 * rate_hz)
    _, events = heard(pcm, rate_hz)
    assert [type(event) for event in events if not isinstance(event, HoldToneStarts)] == [AgentStarts, AgentEnds]
    starts = next(event for event in events if isinstance(event, AgentStarts))
    assert starts.t == pytest.approx(2.5, abs=0.15)


def test_a_later_tone_is_reported_again() -> None:
    pause = bytes(2 * 3 * 16_000)
    _, events = heard(tone(50, 16_000) + pause + tone(50, 16_000), 16_000)
    assert [type(event) for event in events] == [HoldToneStarts] * 2
