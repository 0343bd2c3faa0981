"""The slots of a call with several speakers. Tones with whole periods in a frame keep their level if a frame moves."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_gateway.core.participant_mix import EARLY_S, LATE_S, MOST_AHEAD, SLOT_S, ParticipantMix, mix
from media_gateway.ticker import BEAT_S
from tests.support.nightly import examples

RATE_HZ = 16_000
SLOT_BYTES = 640
SILENCE = bytes(SLOT_BYTES)


def constant(level: int) -> bytes:
    return level.to_bytes(2, "little", signed=True) * (SLOT_BYTES // 2)


def tone(hz: int, level: int) -> bytes:
    n = np.arange(RATE_HZ // 50)
    return np.rint(level * np.sin(2 * np.pi * hz * n / RATE_HZ)).astype("<i2").tobytes()


def level_of(pcm: bytes, hz: int) -> float:
    """Return the peak of this frequency over the whole of `pcm`."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    n = np.arange(len(samples))
    return float(abs(np.dot(samples, np.exp(-2j * np.pi * hz * n / RATE_HZ))) * 2 / len(samples))


class Socket:
    """A mix with its driver: due after every frame and at `next_at`, rounded up to the tick of the ticker."""

    def __init__(self) -> None:
        self._beat = -1
        self.mix = ParticipantMix(SLOT_BYTES, 0.0)
        self.slots: list[bytes] = []

    def frame(self, source: str, pcm: bytes, now: float) -> None:
        self.until(now)
        self.mix.push(source, pcm, now)
        self.slots += self.mix.due(now)

    def until(self, now: float) -> None:
        while (beat := max(math.ceil(self.mix.next_at() / BEAT_S), self._beat + 1)) * BEAT_S <= now:
            self._beat = beat
            self.slots += self.mix.due(beat * BEAT_S)

    @property
    def pcm(self) -> bytes:
        return b"".join(self.slots)


def test_two_speakers_are_added_not_appended() -> None:
    socket = Socket()
    for number in range(50):
        socket.frame("a", constant(100), number * SLOT_S)
        socket.frame("b", constant(20), number * SLOT_S)
    assert socket.slots[1:] == [constant(120)] * 49
    assert socket.slots[0] == constant(100), "only one speaker was known"


def test_a_slot_does_not_wait_longer_than_for_the_last_speaker() -> None:
    socket = Socket()
    for number in range(20):
        socket.frame("a", constant(1), number * SLOT_S)
        socket.frame("b", constant(2), number * SLOT_S + 0.007)
        assert len(socket.slots) in (number + 1, number + 2)


def test_the_sum_is_limited() -> None:
    assert mix([constant(30_000), constant(30_000)]) == constant(32_767)
    assert mix([constant(-30_000), constant(-30_000), constant(5)]) == constant(-32_768)


def test_silence_is_written_while_nobody_sends() -> None:
    socket = Socket()
    for number in range(10):
        socket.frame("a", constant(1), number * SLOT_S)
    socket.until(2.0)
    assert socket.slots[:10] == [constant(1)] * 10
    assert len(socket.slots) == pytest.approx((2.0 - LATE_S) / SLOT_S, abs=2)
    assert set(socket.slots[10:]) == {SILENCE}


def test_a_pause_of_one_speaker_does_not_delay_the_other_for_long() -> None:
    socket = Socket()
    socket.frame("b", constant(2), 0.0)
    for number in range(50):
        socket.frame("a", constant(1), number * SLOT_S)
        assert len(socket.slots) >= number - LATE_S / SLOT_S - 1
    assert len(socket.slots) == 51, "the first slot had no frame of the other"
    assert sum(slot == constant(2) or slot == constant(3) for slot in socket.slots) == 1


def test_speech_after_a_pause_is_heard_at_its_time() -> None:
    socket = Socket()
    for number in range(5):
        socket.frame("a", constant(1), number * SLOT_S)
    for number in range(5):
        socket.frame("a", constant(2), 3.0 + number * SLOT_S)
    assert socket.slots.index(constant(2)) == pytest.approx(150, abs=1)
    assert socket.slots.count(constant(2)) == 5


def test_a_late_burst_is_cut_and_its_end_is_heard() -> None:
    socket = Socket()
    for number in range(100):
        socket.frame("a", constant(1), number * SLOT_S)
        if number == 99:
            for late in range(100):
                socket.frame("b", constant(1000 + late), number * SLOT_S)
    socket.until(4.0)
    heard = [one for slot in socket.slots if (one := int.from_bytes(slot[:2], "little") - 1) >= 999]
    assert len(heard) <= MOST_AHEAD + 1
    assert heard[-1] in (1098, 1099), "the newest frame"
    assert socket.mix.cut >= 100 - MOST_AHEAD - 1


def test_a_flood_is_not_longer_than_the_time_that_passes() -> None:
    socket = Socket()
    for number in range(1000):
        socket.frame("a", constant(1), number * SLOT_S / 4)
    assert len(socket.slots) <= (250 * SLOT_S + EARLY_S) / SLOT_S + 2
    assert socket.mix.cut > 600


def test_audio_of_any_length_is_cut_into_slots() -> None:
    socket = Socket()
    pcm = bytes(range(250)) * 32
    for at in range(0, len(pcm), 1000):
        socket.frame("a", pcm[at : at + 1000], at / (2 * RATE_HZ))
    socket.until(0.1)
    assert socket.pcm[: len(pcm) // SLOT_BYTES * SLOT_BYTES] == pcm[: len(pcm) // SLOT_BYTES * SLOT_BYTES]


def test_after_a_stall_of_the_process_the_missed_slots_are_skipped() -> None:
    socket = Socket()
    socket.frame("a", constant(1), 0.0)
    socket.mix.push("a", constant(2), 3600.0)
    assert len(socket.mix.due(3600.0)) < 20


def test_only_the_kept_speaker_is_heard() -> None:
    mixed = ParticipantMix(SLOT_BYTES, 0.0)
    mixed.push("a", constant(1) * 3, 0.0)
    mixed.push("b", constant(20) * 3, 0.0)
    mixed.keep(lambda source: source == "a")
    assert mixed.due(0.0) == [constant(1)] * 3


FREQUENCIES = (250, 400, 550, 700, 850)
SPEAKERS = st.lists(
    st.tuples(st.integers(0, 40), st.lists(st.integers(0, 100), min_size=60, max_size=60), st.integers(0, 19)),
    min_size=2,
    max_size=5,
)
"""For each speaker: number of the first frame, the delay of each frame in ms, and the phase of the frames in ms."""


@settings(max_examples=examples(150), deadline=None)
@given(SPEAKERS)
def test_each_tone_is_heard_once_at_its_level_within_the_time_that_has_passed(
    speakers: list[tuple[int, list[int], int]],
) -> None:
    """Frames are up to 100 ms late and stay in order, so late ones arrive in bursts."""
    frames: list[tuple[float, int]] = []
    for speaker, (first, delays, phase) in enumerate(speakers):
        times = (((first + number) * 20 + phase + delay) / 1000 for number, delay in enumerate(delays))
        frames += [(at, speaker) for at in itertools.accumulate(times, max)]
    frames.sort(key=lambda frame: frame[0])
    end = max(at for at, _ in frames)
    socket, begin = Socket(), frames[0][0]
    for at, speaker in frames:
        socket.frame(str(speaker), tone(FREQUENCIES[speaker], 3000), at - begin)
    socket.until(end - begin + 0.4)
    assert socket.mix.cut == 0
    passed = (end - begin + 0.4) / SLOT_S
    assert passed - LATE_S / SLOT_S - 2 <= len(socket.slots) <= passed + EARLY_S / SLOT_S + 1
    for speaker in range(len(speakers)):
        heard_slots = level_of(socket.pcm, FREQUENCIES[speaker]) * len(socket.slots) / 3000
        assert heard_slots == pytest.approx(60, abs=0.3), "each frame once, none lost"
