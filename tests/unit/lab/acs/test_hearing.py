from __future__ import annotations

import numpy as np
import pytest

from lab.acs.hearing import AgentEnds, AgentStarts, Heard, Hearing

RATE_HZ = 16_000
FRAME_S = 0.02


def frames(level: int, duration_s: float) -> list[bytes]:
    return [np.full(320, level, dtype="<i2").tobytes()] * round(duration_s / FRAME_S)


def run(hearing: Hearing, script: list[bytes], start: float = 0.0) -> list[Heard]:
    events: list[Heard] = []
    for number, frame in enumerate(script, start=1):
        events += hearing.feed(frame, start + number * FRAME_S)
    return events


def test_a_stretch_of_sound_starts_and_ends_when_it_was_heard() -> None:
    hearing = Hearing(RATE_HZ, 200)
    starts, ends = run(hearing, frames(0, 1.0) + frames(3000, 0.6) + frames(0, 1.0))
    assert isinstance(starts, AgentStarts)
    assert isinstance(ends, AgentEnds)
    assert starts.t == pytest.approx(1.0)
    assert ends.t == pytest.approx(1.6)
    assert hearing.sound_ms == pytest.approx(600)
    assert hearing.quiet_ms == pytest.approx(1000)


def test_pauses_between_words_do_not_end_it() -> None:
    hearing = Hearing(RATE_HZ, 200)
    events = run(hearing, frames(3000, 0.4) + frames(0, 0.3) + frames(3000, 0.4))
    assert [type(event) for event in events] == [AgentStarts]
    assert hearing.sound_ms == pytest.approx(800)


def test_faint_sound_counts_as_silence() -> None:
    hearing = Hearing(RATE_HZ, 200)
    assert run(hearing, frames(150, 1.0)) == []
    assert hearing.sound_ms == 0


def test_a_long_piece_is_measured_in_blocks_of_20_ms() -> None:
    hearing = Hearing(RATE_HZ, 200)
    starts, ends = hearing.feed(b"".join(frames(0, 0.5) + frames(3000, 0.5) + frames(0, 0.5)) + b"\1\0", 11.5)
    assert starts.t == pytest.approx(10.5, abs=0.001)
    assert ends.t == pytest.approx(11.0, abs=0.001)
