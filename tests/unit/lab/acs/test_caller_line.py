from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from lab.acs.caller_line import CallerLine
from lab.acs.caller_uplink import CallerEnds, CallerSays, Marks, Speech
from lab.acs.hearing import AgentEnds, AgentStarts
from lab.acs.noise import NoiseFloor
from lab.marks import encode_mark

RATE_HZ = 16_000


def constant(level: int, duration_s: float) -> bytes:
    return np.full(int(duration_s * RATE_HZ), level, dtype="<i2").tobytes()


def speaking_line(record: bool = True) -> CallerLine:
    return CallerLine(RATE_HZ, 100.0, Speech(RATE_HZ), threshold=200, record=record)


def run(line: CallerLine, ticks: range) -> tuple[list[bytes | None], list[object]]:
    frames, changes = [], list[object]()
    for n in ticks:
        frame, changed = line.tick(100.0 + n / 50)
        frames.append(frame)
        changes += changed
    return frames, changes


def channels(line: CallerLine) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    assert line.recording is not None
    with wave.open(io.BytesIO(line.recording.wav())) as reader:
        return np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2").reshape(-1, 2)


@pytest.mark.parametrize(("form", "level"), [("mixed", 3500), ("prompt_only", 500), ("stream_only", 3000)])
def test_a_prompt_and_the_agent_at_once_are_heard_in_every_form(form: str, level: int) -> None:
    line = speaking_line()
    line.prompt_form = form
    line.play(constant(3000, 0.2), 100.0)
    line.prompts.add(constant(500, 0.4), 100.0)
    run(line, range(1, 21))
    heard = channels(line)[:, 1]
    assert heard[1600] == level
    assert heard[4800] == 500


def test_what_is_said_and_heard_is_recorded_on_one_time_axis() -> None:
    line = speaking_line()
    run(line, range(1, 51))
    line.say(constant(500, 0.2), "hello")
    line.play(constant(3000, 0.4), 101.0)
    frames, changes = run(line, range(51, 101))
    assert frames[0] == constant(500, 0.02)
    assert frames[10] is None
    kinds = [type(change) for change in changes]
    assert kinds == [AgentStarts, CallerSays, CallerEnds, AgentEnds]
    both = channels(line)
    assert len(both) == 2 * RATE_HZ
    left, right = np.flatnonzero(both[:, 0]), np.flatnonzero(both[:, 1])
    assert (left[0], left[-1]) == (RATE_HZ, int(1.2 * RATE_HZ) - 1)
    assert (right[0], right[-1]) == (RATE_HZ, int(1.4 * RATE_HZ) - 1)


def test_stop_audio_ends_what_is_heard_at_once() -> None:
    line = speaking_line()
    line.play(constant(3000, 2.0), 100.0)
    run(line, range(1, 26))
    assert line.clear(100.51) == pytest.approx(1490)
    run(line, range(26, 51))
    assert np.flatnonzero(channels(line)[:, 1])[-1] == int(0.51 * RATE_HZ) - 1


def test_a_muted_caller_is_recorded_but_not_sent() -> None:
    line = speaking_line()
    line.muted = True
    line.say(constant(500, 0.1), "hello")
    frames, _ = run(line, range(1, 6))
    assert frames == [None] * 5
    assert channels(line)[:, 0].any()


def test_on_hold_neither_hears_the_other() -> None:
    line = speaking_line()
    line.on_hold = True
    line.say(constant(500, 0.1), "hello")
    line.play(constant(3000, 0.1), 100.0)
    frames, changes = run(line, range(1, 6))
    assert frames == [None] * 5
    assert not channels(line)[:, 1].any()
    assert [type(change) for change in changes] == [CallerSays, CallerEnds]


def test_prompts_are_mixed_with_the_agent_and_clipped() -> None:
    line = speaking_line()
    line.play(constant(30_000, 0.1), 100.0)
    line.prompts.add(constant(30_000, 0.2), 100.0)
    run(line, range(1, 16))
    right = channels(line)[:, 1]
    assert right[800] == 32_767
    assert right[2400] == 30_000
    assert right[4000] == 0


def test_after_a_stall_the_callers_side_catches_up_with_silence() -> None:
    line = speaking_line()
    run(line, range(1, 11))
    line.say(constant(500, 0.02), "late")
    run(line, range(111, 121))
    both = channels(line)
    assert np.flatnonzero(both[:, 0])[0] == 110 * 320
    assert len(both) == 120 * 320


def test_late_ticks_leave_the_callers_words_whole() -> None:
    """The machine pauses for 200 ms within a word, and the clock then runs the missed ticks."""
    line = speaking_line()
    run(line, range(1, 11))
    line.say(constant(500, 0.4), "whole")
    run(line, range(11, 16))
    for _ in range(16, 27):
        line.tick(100.0 + 26 / 50)
    run(line, range(27, 41))
    sounding = np.flatnonzero(channels(line)[:, 0])
    assert (sounding[0], sounding[-1] + 1, len(sounding)) == (10 * 320, 30 * 320, 20 * 320)


def test_marks_are_read_as_they_arrive_not_as_they_are_played() -> None:
    line = CallerLine(RATE_HZ, 0.0, Marks(3, RATE_HZ), threshold=200, record=False)
    line.play(b"".join(encode_mark(3, n, RATE_HZ) for n in range(5)), 7.0)
    assert line.marks_heard == [(3, n, 7.0) for n in range(5)]
    with pytest.raises(ValueError, match="marks"):
        line.say(b"", "no")


def test_what_a_line_with_marks_hears_is_recorded_as_it_was_played() -> None:
    line = CallerLine(RATE_HZ, 100.0, Marks(3, RATE_HZ), threshold=200, record=True)
    line.play(constant(3000, 0.4), 100.2)
    line.play(constant(2000, 0.4), 100.2)
    line.listen(100.4)
    line.listen(100.7)
    line.clear(100.8)
    line.listen(101.0)
    heard = channels(line)[:, 1]
    assert len(heard) == RATE_HZ
    assert [int(np.count_nonzero(heard == level)) for level in (3000, 2000)] == [0.4 * RATE_HZ, int(0.2 * RATE_HZ)]
    assert np.flatnonzero(heard)[0] == int(0.2 * RATE_HZ)


def test_on_a_line_with_marks_long_silences_are_remembered() -> None:
    line = CallerLine(RATE_HZ, 100.0, Marks(1, RATE_HZ), threshold=200, record=False)
    line.play(constant(500, 0.02), 100.5)
    line.play(bytes(640), 101.5)
    line.play(constant(500, 0.02), 102.5)
    line.play(constant(500, 0.02), 103.0)
    assert line.silences_until(103.5) == [(100.5, 102.5)]
    assert line.silences_until(105.0) == [(100.5, 102.5), (103.0, 105.0)]


def test_noise_is_mixed_with_words_and_pauses() -> None:
    line = CallerLine(RATE_HZ, 100.0, Speech(RATE_HZ), threshold=200, record=True, noise=NoiseFloor(RATE_HZ, -65.0))
    line.say(constant(500, 0.02), "hello")
    frames, _ = run(line, range(1, 3))
    spoken, pause = (np.frombuffer(frame or b"", "<i2").astype(float) for frame in frames)
    assert abs(spoken.mean() - 500) < 5
    assert 10 < spoken.std() < 30
    assert abs(pause.mean()) < 5
    assert 10 < pause.std() < 30
    assert np.array_equal(channels(line)[:640, 0], np.concatenate([spoken, pause]))
    assert not channels(line)[:, 1].any(), "the agent's channel contains the audio that the application sent"


def test_a_muted_line_has_no_noise() -> None:
    line = CallerLine(RATE_HZ, 100.0, Speech(RATE_HZ), threshold=200, record=False, noise=NoiseFloor(RATE_HZ, -65.0))
    line.muted = True
    assert run(line, range(1, 3))[0] == [None, None]


def test_an_agent_speaks_until_a_long_pause_or_stop_audio() -> None:
    line = speaking_line()
    spoke = [line.agent_speaks]
    line.play(constant(3000, 0.2), 100.0)
    for ticks in (range(1, 26), range(26, 36)):
        run(line, ticks)
        spoke.append(line.agent_speaks)
    assert spoke == [False, True, False], "0.3 s of silence may be a pause between words, half a second is not"
    line.play(constant(3000, 1.0), 100.7)
    run(line, range(36, 41))
    line.clear(100.805)
    spoke = [line.agent_speaks]
    run(line, range(41, 43))
    spoke.append(line.agent_speaks)
    line.play(constant(3000, 0.1), 100.84)
    run(line, range(43, 46))
    spoke.append(line.agent_speaks)
    assert spoke == [False, False, True], "sound before StopAudio does not count"
