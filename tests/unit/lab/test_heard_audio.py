from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.heard_audio import (
    find_speech,
    last_sound_s,
    longest_silence_s,
    read_mono,
    read_recording,
    share_heard,
    sound_ms,
)

RATE_HZ = 16_000


def _noise(seconds: float, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 3000, int(seconds * RATE_HZ))


def _pcm(samples: NDArray[np.float64]) -> bytes:
    return samples.astype("<i2").tobytes()


def test_speech_is_found_where_it_is() -> None:
    speech = _noise(0.5)
    heard = np.concatenate([np.zeros(8000), speech, np.zeros(8000)])
    found = find_speech(heard, RATE_HZ, _pcm(speech))
    assert found.at_s == pytest.approx(0.5, abs=0.001)
    assert found.likeness > 0.99


def test_a_search_can_start_at_the_end_of_the_previous_piece() -> None:
    heard, at_s = _noise(9.9), 0.0
    for piece in np.split(heard, 99):
        found = find_speech(heard, RATE_HZ, _pcm(piece), from_s=at_s)
        assert found.likeness > 0.99
        at_s = found.at_s + 0.1


def test_other_speech_is_not_taken_for_it() -> None:
    heard = np.concatenate([np.zeros(8000), _noise(0.5, seed=2), np.zeros(8000)])
    assert find_speech(heard, RATE_HZ, _pcm(_noise(0.5))).likeness < 0.2


def test_a_hole_in_the_speech_lowers_the_likeness() -> None:
    speech = _noise(0.5)
    broken = speech.copy()
    broken[2000:6000] = 0
    assert find_speech(np.concatenate([broken, np.zeros(8000)]), RATE_HZ, _pcm(speech)).likeness < 0.8


def test_sound_is_measured_in_time() -> None:
    heard = np.concatenate([np.zeros(RATE_HZ), _noise(0.3), np.zeros(RATE_HZ)])
    assert sound_ms(heard, RATE_HZ, 0, 3) == 300
    assert sound_ms(heard, RATE_HZ, 0, 0.9) == 0
    assert last_sound_s(heard, RATE_HZ, 0, 3) == pytest.approx(1.3)
    assert last_sound_s(heard, RATE_HZ, 2, 2.2) == 2


def test_silence_is_the_time_in_which_neither_side_is_heard() -> None:
    quiet = np.zeros(RATE_HZ)
    caller = np.concatenate([_noise(1.0), quiet, quiet, quiet])
    agent = np.concatenate([quiet, quiet[: RATE_HZ // 2], _noise(0.5), quiet, _noise(1.0)])
    assert longest_silence_s((caller, agent), RATE_HZ, 0.0, 4.0) == 1.0
    assert longest_silence_s((caller, agent), RATE_HZ, 0.0, 2.5) == 0.5
    assert longest_silence_s((caller * 0, agent), RATE_HZ, 0.0, 4.0) == 1.5
    assert longest_silence_s((caller, agent), RATE_HZ, 2.0, 3.0) == 1.0


def test_a_recording_has_the_caller_left_and_the_agent_right() -> None:
    out = io.BytesIO()
    with wave.open(out, "wb") as wav:
        wav.setnchannels(2)
        wav.setsampwidth(2)
        wav.setframerate(RATE_HZ)
        wav.writeframes(np.tile(np.array([[100, -200]], dtype="<i2"), (RATE_HZ, 1)).tobytes())
    recording = read_recording(out.getvalue())
    assert recording.seconds == 1.0
    assert (recording.caller == 100).all()
    assert (recording.agent == -200).all()


def test_a_mono_recording_is_refused() -> None:
    out = io.BytesIO()
    with wave.open(out, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(RATE_HZ)
        wav.writeframes(b"\0\0")
    with pytest.raises(ValueError, match="stereo"):
        read_recording(out.getvalue())


def test_of_two_equal_pieces_the_first_is_found() -> None:
    speech = _noise(0.5)
    cut = speech.copy()
    cut[:40] *= 0.9  # the first is heard a little worse
    found = find_speech(np.concatenate([np.zeros(1600), cut, np.zeros(1600), speech]), RATE_HZ, _pcm(speech))
    assert found.at_s == pytest.approx(0.1, abs=0.001)


def test_the_share_of_a_voice_is_its_volume_also_beneath_others() -> None:
    wanted, other = _noise(1.0), _noise(1.5, seed=2)
    silence = np.zeros(4000)
    mixed = other + np.concatenate([silence, wanted, silence])
    assert share_heard(mixed, wanted) == pytest.approx(1.0, abs=0.1)
    assert share_heard(mixed, 2 * wanted) == pytest.approx(0.5, abs=0.1)
    assert share_heard(other, wanted) < 0.1
    assert share_heard(silence, wanted) == 0.0


def test_a_recording_of_one_channel_is_read() -> None:
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(24_000)
        writer.writeframes(np.array([1, -2, 3], dtype="<i2").tobytes())
    rate_hz, samples = read_mono(out.getvalue())
    assert (rate_hz, samples.tolist()) == (24_000, [1.0, -2.0, 3.0])
