"""Slices of speech are complete, have their words before the audio, and contain whole samples."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from lab.speech import synthesize
from lab.voice_live.speech_plan import cut_at_odd_bytes, cut_into_deltas, plan_speech

SENTENCE = "Your parcel left our house this morning and arrives tomorrow."


def test_a_sentence_is_cut_into_quarter_seconds() -> None:
    plan = plan_speech(SENTENCE, "pcm16", 250, None)
    assert {delta.audio_bytes for delta in plan.deltas[:-1]} == {12_000}
    assert b"".join(base64.b64decode(delta.audio) for delta in plan.deltas) == synthesize(SENTENCE, 24_000)
    assert "".join(word for delta in plan.deltas for word in delta.words) == SENTENCE
    assert plan.deltas[0].words
    assert not plan.cut


def test_a_token_limit_cuts_the_speech() -> None:
    plan = plan_speech(SENTENCE, "pcm16", 250, 20)
    assert sum(delta.ms for delta in plan.deltas) == 1000
    assert plan.cut
    assert len("".join(word for delta in plan.deltas for word in delta.words)) < len(SENTENCE)
    assert not plan_speech(SENTENCE, "pcm16", 250, 4096).cut


def test_nothing_to_say_gives_no_delta() -> None:
    assert plan_speech("", "pcm16", 250, None).deltas == ()


@given(text=st.text(" abc", max_size=60), size=st.integers(0, 6000), delta_ms=st.integers(1, 300))
def test_no_byte_and_no_word_is_lost(text: str, size: int, delta_ms: int) -> None:
    audio = bytes(range(256)) * 24
    audio = audio[: size // 2 * 2]
    deltas = cut_into_deltas(text, audio, 48.0, delta_ms)
    assert b"".join(base64.b64decode(delta.audio) for delta in deltas) == audio
    assert all(delta.audio_bytes % 2 == 0 for delta in deltas)
    if audio:
        assert "".join(word for delta in deltas for word in delta.words) == " ".join(text.split())


def test_deltas_can_be_cut_in_the_middle_of_a_sample() -> None:
    plan = plan_speech(SENTENCE, "pcm16", 250, None)
    odd = cut_at_odd_bytes(plan)
    assert all(delta.audio_bytes % 2 for delta in odd.deltas[:-1])
    assert b"".join(base64.b64decode(delta.audio) for delta in odd.deltas) == synthesize(SENTENCE, 24_000)
    assert [delta.words for delta in odd.deltas] == [delta.words for delta in plan.deltas]
    assert sum(delta.audio_bytes for delta in odd.deltas) == sum(delta.audio_bytes for delta in plan.deltas)
