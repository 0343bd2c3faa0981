from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from bridge_common.base.errors import InputError
from bridge_common.wire.audio import VOICE_RATE_HZ, ms_of_bytes
from media_gateway.recordings import APOLOGY, LONGEST_S, NONE, WAIT, Recordings, load_recordings


def _recording(path: Path, *, channels: int = 1, width: int = 2, rate_hz: int = 16_000, seconds: float = 1.0) -> str:
    with wave.open(str(path), "wb") as recording:
        recording.setnchannels(channels)
        recording.setsampwidth(width)
        recording.setframerate(rate_hz)
        recording.writeframes(bytes(int(seconds * rate_hz) * channels * width))
    return str(path)


def test_our_own_is_speech_of_a_few_seconds() -> None:
    pcm = load_recordings("", APOLOGY).default
    assert 2_000 < ms_of_bytes(len(pcm), VOICE_RATE_HZ) < 6_000
    samples = np.frombuffer(pcm, "<i2").astype(float)
    assert np.sqrt(np.mean(samples**2)) > 500
    assert np.abs(samples).max() < 32_000


@pytest.mark.parametrize("rate_hz", [16_000, 24_000])
def test_another_recording_is_brought_to_our_rate(tmp_path: Path, rate_hz: int) -> None:
    pcm = load_recordings(_recording(tmp_path / "sorry.wav", rate_hz=rate_hz, seconds=2.0), APOLOGY).default
    assert ms_of_bytes(len(pcm), VOICE_RATE_HZ) == pytest.approx(2000, abs=5)


def test_it_may_be_nothing() -> None:
    assert load_recordings(NONE, WAIT) == Recordings()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ({"channels": 2}, "one channel"),
        ({"width": 1}, "16-bit"),
        ({"rate_hz": 8_000}, "16000 or 24000"),
        ({"seconds": LONGEST_S + 1}, "at most 10 s"),
    ],
)
def test_what_cannot_be_played_is_refused(tmp_path: Path, kind: dict[str, int], told: str) -> None:
    path = _recording(tmp_path / "sorry.wav", **kind)
    with pytest.raises(InputError, match=told):
        load_recordings(path, APOLOGY)


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_recordings(str(tmp_path / "nothing.wav"), APOLOGY)
    (tmp_path / "text.wav").write_text("sorry")
    with pytest.raises(InputError, match="not a PCM WAV"):
        load_recordings(str(tmp_path / "text.wav"), APOLOGY)


def test_a_path_that_is_too_long_is_refused_in_a_readable_line() -> None:
    with pytest.raises(InputError, match="cannot be read: File name too long") as caught:
        load_recordings("x" * 30_000, APOLOGY)
    assert len(caught.value.message) < 300


def test_a_folder_has_a_recording_for_each_profile(tmp_path: Path) -> None:
    _recording(tmp_path / "sales-de.wav", seconds=2.0)
    own = load_recordings(str(tmp_path), WAIT)
    assert ms_of_bytes(len(own.of("sales-de")), VOICE_RATE_HZ) == pytest.approx(2000, abs=5)
    assert own.of("sales") == load_recordings("", WAIT).default
    _recording(tmp_path / "default.wav", seconds=1.0)
    both = load_recordings(str(tmp_path), WAIT)
    assert ms_of_bytes(len(both.of("sales")), VOICE_RATE_HZ) == pytest.approx(1000, abs=5)
    assert both.of("sales-de") == own.of("sales-de")


def test_all_mistakes_of_a_folder_are_listed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"contains no WAV file; add default\.wav"):
        load_recordings(str(tmp_path), WAIT)
    _recording(tmp_path / "one.wav", channels=2)
    _recording(tmp_path / "other.wav", rate_hz=8_000)
    with pytest.raises(InputError, match=r"one\.wav has .*; .*other\.wav has"):
        load_recordings(str(tmp_path), WAIT)
