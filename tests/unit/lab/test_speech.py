"""Speech synthesis: audible, of plausible length, equal at every sample rate, thread-safe."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest

from lab.speech import SpeechError, ms_of, synthesize

SENTENCE = "Where is my order?"


def rms(pcm: bytes) -> float:
    return float(np.sqrt(np.mean(np.frombuffer(pcm, dtype="<i2").astype(np.float64) ** 2)))


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 24000])
def test_speaks_audibly_and_equally_long_at_every_rate(rate_hz: int) -> None:
    pcm = synthesize(SENTENCE, rate_hz)
    assert len(pcm) % 2 == 0
    assert 600 <= ms_of(pcm, rate_hz) <= 3000
    assert abs(ms_of(pcm, rate_hz) - ms_of(synthesize(SENTENCE, 24000), 24000)) <= 2
    assert rms(pcm) > 500


def test_longer_text_lasts_longer() -> None:
    assert len(synthesize(f"{SENTENCE} {SENTENCE} {SENTENCE}", 16000)) > 2 * len(synthesize(SENTENCE, 16000))


def test_repeated_text_comes_from_the_cache() -> None:
    assert synthesize(SENTENCE, 24000) is synthesize(f"  {SENTENCE}\n", 24000)


@pytest.mark.parametrize("text", ["", " \n", "\0"])
def test_nothing_to_say_is_no_sound(text: str) -> None:
    assert synthesize(text, 24000) == b""


def test_other_languages_and_odd_characters_are_spoken() -> None:
    assert synthesize("Grüß Gott, 1.240 €", 16000, "de")
    assert synthesize("Order \0 number 7", 16000) == synthesize("Order number 7", 16000)


def test_an_unknown_voice_is_named() -> None:
    with pytest.raises(SpeechError, match="klingon-xx"):
        synthesize(SENTENCE, 16000, "klingon-xx")
    assert synthesize("After the error it still speaks.", 16000)


def test_threads_do_not_mix_their_sound() -> None:
    texts = [f"This is sentence number {number}." for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: synthesize(text, 24000), texts))
    assert len(set(together)) == len(texts)
    assert all(700 <= ms_of(pcm, 24000) <= 4000 for pcm in together)


def test_duration_counts_whole_milliseconds() -> None:
    assert ms_of(b"\0" * 960, 24000) == 20
    assert ms_of(b"", 24000) == 0


def test_speaks_when_the_project_lies_deep_in_the_file_system(tmp_path: Path) -> None:
    """espeak-ng has 160 bytes for the path of its data. A process can load the engine only once, so the test starts
    another process.
    """
    deep = tmp_path / ("d" * 100) / ("e" * 60) / "espeak-ng-data"
    deep.parent.mkdir(parents=True)
    deep.symlink_to(espeakng_loader.get_data_path())
    program = (
        "import espeakng_loader, sys; espeakng_loader.get_data_path = lambda: sys.argv[1];"
        "from lab.speech import synthesize; print(len(synthesize('Hello', 16000)))"
    )
    spoken = subprocess.run([sys.executable, "-c", program, deep], capture_output=True, text=True, check=False)
    assert spoken.returncode == 0, spoken.stderr
    assert int(spoken.stdout) > 1000
