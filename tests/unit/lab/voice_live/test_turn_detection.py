"""Turn detection by energy, on the clock of the audio, with audio in pieces of any size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.speech import synthesize
from lab.voice_live.turn_detection import DetectedSpeechStart, DetectedSpeechStop, TurnDetector, TurnRules
from tests.support.voice_live_stage import silence, tone

RULES = TurnRules(threshold=0.5, prefix_padding_ms=300, silence_duration_ms=500, speech_duration_ms=200)


def test_a_turn_has_its_edges_where_the_audio_says() -> None:
    audio = silence(1000) + tone(800) + silence(700)
    assert TurnDetector(RULES, 24_000).feed(audio) == [DetectedSpeechStart(700), DetectedSpeechStop(2300)]


def test_prefix_padding_never_reaches_before_the_first_audio() -> None:
    assert TurnDetector(RULES, 24_000).feed(tone(300)) == [DetectedSpeechStart(0)]


def test_a_click_starts_no_turn_and_a_short_pause_ends_none() -> None:
    assert TurnDetector(RULES, 24_000).feed(silence(500) + tone(150) + silence(1000)) == []
    heard = TurnDetector(RULES, 24_000).feed(tone(400) + silence(450) + tone(300) + silence(600))
    assert heard == [DetectedSpeechStart(0), DetectedSpeechStop(1650)]


def test_without_silence_the_turn_does_not_end() -> None:
    detector = TurnDetector(RULES, 24_000)
    assert detector.feed(tone(1000)) == [DetectedSpeechStart(0)]
    assert detector.speaking
    assert detector.feed(silence(490)) == []
    assert detector.feed(silence(10)) == [DetectedSpeechStop(1500)]


def test_the_threshold_is_a_loudness() -> None:
    quiet = tone(500, level=600)  # The root mean square is 424.
    assert TurnDetector(TurnRules(threshold=0.5), 24_000).feed(quiet) == []
    assert TurnDetector(TurnRules(threshold=0.3), 24_000).feed(quiet) == [DetectedSpeechStart(0)]


def test_reset_forgets_the_turn_and_keeps_the_clock() -> None:
    detector = TurnDetector(RULES, 24_000)
    detector.feed(tone(1000))
    detector.reset()
    assert detector.feed(silence(1000) + tone(400)) == [DetectedSpeechStart(1700)]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 44_100])
def test_synthesized_speech_is_one_turn_at_every_rate(rate_hz: int) -> None:
    spoken = synthesize("Where is my order, please?", rate_hz)
    heard = TurnDetector(RULES, rate_hz).feed(silence(400, rate_hz) + spoken + silence(800, rate_hz))
    assert [type(edge) for edge in heard] == [DetectedSpeechStart, DetectedSpeechStop]


@settings(max_examples=40, deadline=None)
@given(
    spans=st.lists(st.tuples(st.booleans(), st.integers(10, 900)), max_size=8),
    cuts=st.lists(st.integers(1, 4000), min_size=1, max_size=6),
)
def test_the_size_of_the_pieces_changes_nothing(spans: list[tuple[bool, int]], cuts: list[int]) -> None:
    audio = b"".join(tone(ms) if voiced else silence(ms) for voiced, ms in spans)
    whole = TurnDetector(RULES, 24_000).feed(audio)
    detector, found, at, turn = TurnDetector(RULES, 24_000), [], 0, 0
    while at < len(audio):
        size = cuts[turn % len(cuts)] * 2
        found += detector.feed(audio[at : at + size])
        at, turn = at + size, turn + 1
    assert found == whole
    kinds = [type(edge) for edge in found]
    assert kinds == [DetectedSpeechStart, DetectedSpeechStop] * (len(kinds) // 2) + [DetectedSpeechStart] * (
        len(kinds) % 2
    )


@pytest.mark.parametrize("level", [-32_768, -900, 900, 32_767])
def test_a_constant_offset_is_silence(level: int) -> None:
    detector = TurnDetector(RULES, 24_000)
    assert detector.feed(np.full(48_000, level, dtype="<i2").tobytes()) == []
    shifted = np.frombuffer(tone(600), dtype="<i2") // 4 + np.int16(9_000)
    edges = detector.feed(shifted.astype("<i2").tobytes())
    assert [type(edge) for edge in edges] == [DetectedSpeechStart]
