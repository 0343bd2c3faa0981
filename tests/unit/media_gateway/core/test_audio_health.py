"""Faults of the audio of a call, found in samples."""

from __future__ import annotations

import numpy as np

from media_gateway.core.audio_health import AudioFault, AudioHealth

NO_UPLINK, SILENT, CLIPPED, NO_DOWNLINK = (
    AudioFault.NO_UPLINK,
    AudioFault.SILENT_UPLINK,
    AudioFault.CLIPPED_UPLINK,
    AudioFault.NO_DOWNLINK,
)
FRAME = np.full(320, 100, "<i2").tobytes()
SPEECH = np.full(320, 6_000, "<i2").tobytes()
SILENCE = bytes(640)


def loud(clipped: int, value: int = 32_767) -> bytes:
    """A frame in which `clipped` of 320 samples are at full scale."""
    samples = np.full(320, 20_000, "<i2")
    samples[:clipped] = value
    return samples.tobytes()


class Call:
    """Checks twice a second; the agent talks unless `talks` is false."""

    def __init__(self) -> None:
        self.health = AudioHealth(100.0)
        self.now = 100.0
        self.spoken = 0
        self.playing_until = 100.0

    def goes_on(
        self, seconds: float, frame: bytes | None = FRAME, *, talks: bool = True, bridged: bool = False
    ) -> list[AudioFault]:
        found: list[AudioFault] = []
        for _ in range(round(seconds * 2)):
            self.now += 0.5
            self.spoken += 24_000 if talks else 0
            self.playing_until = self.now + 0.2 if talks else self.playing_until
            found += self.health.check(
                self.now, frame, spoken_bytes=self.spoken, playing_until=self.playing_until, bridged=bridged
            )
        return found


def test_a_normal_call_has_no_fault() -> None:
    assert Call().goes_on(600) == []


def test_no_audio_from_acs_is_found_once() -> None:
    call = Call()
    assert call.goes_on(4.5, None) == []
    assert call.goes_on(0.5) == [], "the next frame ends the gap"
    assert call.goes_on(4.5, None) == []
    assert call.goes_on(60, None) == [NO_UPLINK]


def test_digital_silence_is_a_fault_only_if_the_agent_spoke() -> None:
    call = Call()
    assert call.goes_on(25, SILENCE, talks=False) == []
    assert call.goes_on(34.5, SILENCE) == []
    assert call.goes_on(1, SILENCE) == [SILENT]
    quiet = Call()
    assert SILENT not in quiet.goes_on(120, SILENCE, talks=False)


def test_frames_that_acs_marks_as_silent_count_as_silence() -> None:
    assert Call().goes_on(61, b"") == [SILENT]


def test_the_noise_of_a_line_is_not_silence() -> None:
    call = Call()
    for _ in range(4):
        assert call.goes_on(59, SILENCE) == []
        assert call.goes_on(0.5) == []


def test_clipping_is_measured_over_ten_seconds() -> None:
    assert Call().goes_on(60, loud(3)) == [], "0.9 % of the samples"
    assert Call().goes_on(10, loud(4)) == [CLIPPED]
    assert Call().goes_on(10, loud(4, -32_768)) == [CLIPPED]
    call = Call()
    assert call.goes_on(1, loud(20)) == []
    assert call.goes_on(60) == [], "a shout of a second is none"


def test_a_caller_who_speaks_and_hears_nothing_is_found() -> None:
    call = Call()
    call.goes_on(5)
    assert call.goes_on(20, talks=False) == []
    assert call.goes_on(1, SPEECH, talks=False) == []
    assert call.goes_on(29, talks=False) == []
    assert call.goes_on(0.5, talks=False) == [NO_DOWNLINK]


def test_an_answer_ends_the_wait() -> None:
    call = Call()
    assert call.goes_on(29, SPEECH, talks=False) == []
    assert call.goes_on(1) == []
    assert call.goes_on(29, SPEECH, talks=False) == []


def test_nothing_is_due_to_a_silent_caller() -> None:
    assert Call().goes_on(300, talks=False) == []
    assert Call().goes_on(59, b"", talks=False) == []


def test_the_agent_is_silent_while_people_talk() -> None:
    call = Call()
    assert call.goes_on(300, SPEECH, talks=False, bridged=True) == []
    assert call.goes_on(29.5, SPEECH, talks=False) == []
    assert call.goes_on(1, talks=False) == [NO_DOWNLINK]
