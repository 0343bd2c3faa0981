"""The caller's audio: formats and turn detection of the session, commit and clear."""

from __future__ import annotations

import pytest

from lab.voice_live.caller_audio import CallerAudio
from lab.voice_live.server_events import Event, RefusedError
from lab.voice_live.turn_detection import DetectedSpeechStart, DetectedSpeechStop
from tests.support.voice_live_stage import b64, silence, tone

SERVER_VAD: Event = {
    "type": "server_vad",
    "prefix_padding_ms": 0,
    "silence_duration_ms": 500,
    "speech_duration_ms": 200,
}


def configured(**session: object) -> CallerAudio:
    caller = CallerAudio()
    caller.configure({"input_audio_format": "pcm16", "input_audio_sampling_rate": 24_000, **session})
    return caller


def test_turns_are_found_at_the_sessions_rate() -> None:
    caller = configured(turn_detection=SERVER_VAD, input_audio_sampling_rate=16_000)
    edges = caller.append(b64(tone(400, 16_000) + silence(600, 16_000)))
    assert edges == [DetectedSpeechStart(0), DetectedSpeechStop(900)]


def test_g711_is_always_8_khz() -> None:
    caller = configured(turn_detection=SERVER_VAD, input_audio_format="g711_ulaw")
    caller.append(b64(b"\xff" * 8000))
    assert caller.heard_ms == 1000


def test_an_unchanged_rule_keeps_the_turn_and_a_changed_one_keeps_the_clock() -> None:
    caller = configured(turn_detection=SERVER_VAD)
    assert caller.append(b64(tone(1000))) == [DetectedSpeechStart(0)]
    caller.configure({"input_audio_format": "pcm16", "turn_detection": SERVER_VAD})
    assert caller.append(b64(silence(500))) == [DetectedSpeechStop(1500)]
    caller.configure({"input_audio_format": "pcm16", "turn_detection": {**SERVER_VAD, "threshold": 0.4}})
    assert caller.append(b64(tone(300))) == [DetectedSpeechStart(1500)]


def test_commit_needs_audio_and_no_automatic_turns() -> None:
    manual = configured(turn_detection=None)
    with pytest.raises(RefusedError) as refusal:
        manual.commit()
    assert refusal.value.code == "input_audio_buffer_commit_empty"
    manual.append(b64(tone(300)))
    assert manual.commit() == 0
    manual.append(b64(tone(200)))
    assert manual.commit() == 300
    automatic = configured(turn_detection=SERVER_VAD)
    automatic.append(b64(tone(300)))
    with pytest.raises(RefusedError, match=r"input_audio_buffer\.commit is not supported"):
        automatic.commit()


def test_clearing_forgets_what_was_not_committed() -> None:
    caller = configured(turn_detection=None)
    caller.append(b64(tone(300)))
    caller.clear()
    with pytest.raises(RefusedError):
        caller.commit()
    vad = configured(turn_detection=SERVER_VAD)
    vad.append(b64(tone(400)))
    vad.clear()
    assert vad.append(b64(silence(1000))) == []
