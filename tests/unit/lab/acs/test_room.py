from __future__ import annotations

import io
import wave

import numpy as np

from lab.acs.caller_line import CallerLine
from lab.acs.caller_uplink import Speech
from lab.acs.noise import NoiseFloor
from lab.acs.room import mix, share_voices

RATE_HZ = 16_000


def constant(level: int, frames: int = 1) -> bytes:
    return np.full(320 * frames, level, dtype="<i2").tobytes()


def line() -> CallerLine:
    return CallerLine(RATE_HZ, 100.0, Speech(RATE_HZ), threshold=200, record=True, noise=NoiseFloor(RATE_HZ, -65.0))


def heard(one: CallerLine) -> list[int]:
    """Return what a person heard, one sample for each frame."""
    assert one.recording is not None
    with wave.open(io.BytesIO(one.recording.wav())) as reader:
        both = np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2").reshape(-1, 2)
    return [int(sample) for sample in both[::320, 1]]


def talk(lines: dict[str, CallerLine], ticks: range, *, hold_scope: str = "everyone") -> None:
    for n in ticks:
        for one in lines.values():
            one.tick(100.0 + n / 50)
        share_voices(lines, hold_scope=hold_scope)


def test_everyone_hears_the_others_and_not_themselves() -> None:
    lines = {name: line() for name in ("ada", "bob", "cyd")}
    lines["ada"].say(constant(1000, 2), "")
    lines["bob"].say(constant(300, 1), "")
    talk(lines, range(1, 5))
    assert heard(lines["ada"]) == [300, 0, 0, 0]
    assert heard(lines["bob"]) == [1000, 1000, 0, 0]
    assert heard(lines["cyd"]) == [1300, 1000, 0, 0]


def test_voices_keep_their_place_when_ticks_are_late() -> None:
    lines = {name: line() for name in ("ada", "bob")}
    lines["ada"].say(constant(1000, 4), "")
    for now in (100.1, 100.1, 100.1, 100.12):
        for one in lines.values():
            one.tick(now)
        share_voices(lines)
    assert heard(lines["bob"])[:4] == [1000, 1000, 1000, 1000]


def test_who_is_muted_is_not_heard_and_who_is_on_hold_hears_nothing_either() -> None:
    lines = {name: line() for name in ("ada", "bob", "cyd")}
    for level, one in zip((1000, 300, 70), lines.values(), strict=True):
        one.say(constant(level, 3), "")
    lines["bob"].muted = True
    lines["cyd"].on_hold = True
    talk(lines, range(1, 4))
    assert heard(lines["ada"]) == [0, 0, 0]
    assert heard(lines["bob"]) == [1000, 1000, 1000]
    assert heard(lines["cyd"]) == [0, 0, 0]


def test_hold_can_be_limited_to_the_agent() -> None:
    lines = {name: line() for name in ("ada", "bob")}
    lines["ada"].say(constant(1000, 1), "")
    lines["bob"].on_hold = True
    talk(lines, range(1, 2), hold_scope="agent")
    assert heard(lines["bob"]) == [1000]


def test_a_mix_is_clipped_and_silence_stays_silence() -> None:
    assert mix([None, None]) is None
    assert mix([constant(5), None]) == constant(5)
    assert mix([constant(30000), constant(30000)]) == constant(32767)
