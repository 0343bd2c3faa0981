"""Cuts a spoken reply into deltas: slices of audio, each with the words sent before it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from functools import lru_cache

from lab.speech import synthesize
from lab.voice_live.audio_formats import SPEECH_RATE_HZ, encode_speech, output_bytes_per_ms
from lab.voice_live.simulated_response import AUDIO_TOKENS_PER_S

WORDS_AHEAD_MS = 600
"""How far the transcript is ahead of its audio: it does not show the playback position."""


@dataclass(frozen=True)
class Delta:
    """One audio delta. `audio`: base64 in the output format of the session; `ms`: its playing time; `words`: sent
    before it.
    """

    words: tuple[str, ...]
    audio: str
    audio_bytes: int
    ms: float


@dataclass(frozen=True)
class SpeechPlan:
    deltas: tuple[Delta, ...]
    cut: bool = False
    """True if the token limit cut off the end."""


@lru_cache(maxsize=64)
def plan_speech(text: str, audio_format: str, delta_ms: int, max_tokens: int | None) -> SpeechPlan:
    """Synthesize `text` (blocking) and cut it into slices. `max_tokens` limits the audio; 20 tokens are a second."""
    audio = encode_speech(synthesize(text, SPEECH_RATE_HZ), audio_format)
    bytes_per_ms = output_bytes_per_ms(audio_format)
    if max_tokens is None or (limit := _whole_samples(max_tokens * 1000 / AUDIO_TOKENS_PER_S * bytes_per_ms)) >= len(
        audio
    ):
        return SpeechPlan(cut_into_deltas(text, audio, bytes_per_ms, delta_ms))
    words = text.split()
    said = " ".join(words[: len(words) * limit // len(audio)])
    return SpeechPlan(cut_into_deltas(said, audio[:limit], bytes_per_ms, delta_ms), cut=True)


def cut_into_deltas(text: str, audio: bytes, bytes_per_ms: float, delta_ms: int) -> tuple[Delta, ...]:
    """Cut audio and text into slices. Together they contain every byte of `audio` and every word of `text` once, in
    order.
    """
    step = max(2, _whole_samples(delta_ms * bytes_per_ms))
    words = [word if number == 0 else f" {word}" for number, word in enumerate(text.split())]
    deltas: list[Delta] = []
    spoken = 0
    for start in range(0, len(audio), step):
        piece = audio[start : start + step]
        ahead_bytes = start + len(piece) + WORDS_AHEAD_MS * bytes_per_ms
        until = min(len(words), int(len(words) * ahead_bytes / len(audio)) + 1)
        if start + step >= len(audio):
            until = len(words)
        deltas.append(
            Delta(tuple(words[spoken:until]), base64.b64encode(piece).decode(), len(piece), len(piece) / bytes_per_ms)
        )
        spoken = max(spoken, until)
    return tuple(deltas)


def cut_at_odd_bytes(speech: SpeechPlan) -> SpeechPlan:
    """Return the same audio and words, but every delta except the last ends in the middle of a sample."""
    deltas: list[Delta] = []
    carried = b""
    for number, delta in enumerate(speech.deltas):
        audio = carried + base64.b64decode(delta.audio)
        cut = len(audio) if number == len(speech.deltas) - 1 else (len(audio) - 1) | 1
        audio, carried = audio[:cut], audio[cut:]
        deltas.append(replace(delta, audio=base64.b64encode(audio).decode(), audio_bytes=len(audio)))
    return replace(speech, deltas=tuple(deltas))


def _whole_samples(size: float) -> int:
    return int(size) // 2 * 2
