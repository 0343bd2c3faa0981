from __future__ import annotations

import io
import wave

import numpy as np

from lab.acs.recording import CallRecording


def read(wav: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    with wave.open(io.BytesIO(wav)) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (2, 2, 16_000)
        return np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2").reshape(-1, 2)


def test_caller_is_left_agent_right_and_the_shorter_side_is_silent() -> None:
    recording = CallRecording(16_000)
    recording.say(np.array([1, 2, 3], dtype="<i2").tobytes())
    recording.hear(np.array([7], dtype="<i2").tobytes())
    assert recording.left_samples == 3
    assert read(recording.wav()).tolist() == [[1, 7], [2, 0], [3, 0]]


def test_voices_of_others_are_mixed_in_at_the_frame_that_was_said_last() -> None:
    recording = CallRecording(16_000)
    recording.say(np.array([0, 0], dtype="<i2").tobytes())
    recording.say(np.array([1, 1], dtype="<i2").tobytes())
    recording.overhear(np.array([30000, 5], dtype="<i2").tobytes())
    recording.hear(np.array([7, 7, 7000, 7], dtype="<i2").tobytes())
    assert read(recording.wav()).tolist() == [[0, 7], [0, 7], [1, 32767], [1, 12]]


def test_an_empty_recording_is_a_wav_and_a_long_one_is_cut() -> None:
    assert len(read(CallRecording(16_000).wav())) == 0
    recording = CallRecording(16_000, limit_s=0.01)
    for _ in range(3):
        recording.say(bytes(200))
        recording.hear(bytes(200))
    assert len(read(recording.wav())) == 160
