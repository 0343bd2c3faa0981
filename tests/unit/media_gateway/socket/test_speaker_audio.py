"""Frames as ACS may send them, in each form that its documentation leaves open, become one stream of audio."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import numpy as np
import pytest

from bridge_common.wire.call_record import Participant
from bridge_common.wire.entries import AudioFrame
from lab.acs.caller_line import CallerLine
from lab.acs.caller_uplink import Speech
from lab.acs.forms import CallForms
from lab.acs.media_codec import AudioEncoder
from lab.acs.speaker_frames import SpeakerFrame, SpeakerFrames
from media_gateway import metrics
from media_gateway.core.acs_media import AudioData, decode
from media_gateway.core.speakers import Speakers
from media_gateway.socket.speaker_audio import SpeakerAudio
from media_gateway.socket.uplink_encoder import UplinkEncoder
from media_gateway.ticker import BEAT_S, Ticked, Ticker
from tests.unit.media_gateway.socket.test_uplink_encoder import RecordingOutlet

RATE_HZ = 24_000
CALLER, PERSON, OURS = "4:+14255550100", "4:+14255550177", "8:acs:resource_bot"
CALLER_HZ, PERSON_HZ, OUR_HZ = 400, 650, 900
LEVEL = 3000
BEGIN = 100.0


class Due(Ticker):
    """A ticker that stores the due time."""

    at: float | None = None

    def wake(self, ticked: Ticked, at: float | None) -> None:
        self.at = at


def tone(hz: int, seconds: float) -> bytes:
    n = np.arange(int(seconds * RATE_HZ))
    return np.rint(LEVEL * np.sin(2 * np.pi * hz * n / RATE_HZ)).astype("<i2").tobytes()


class Socket:
    """A media socket with its ticker, driven by `now`."""

    def __init__(self, *, mixed: bool = False) -> None:
        self.outlet = RecordingOutlet()
        self.ticker = Due()
        speakers = Speakers(CALLER, mixed=mixed)
        self.audio = SpeakerAudio(UplinkEncoder(self.outlet, RATE_HZ), speakers, self.ticker, RATE_HZ)
        self._beat = -1
        self.fast = 0
        """Number of frames that were not decoded."""

    def send(self, frame: SpeakerFrame, now: float) -> None:
        self.until(now)
        pcm = bytes(960) if frame.pcm is None else frame.pcm
        message = AudioEncoder(frame.raw_id).encode(pcm, b"2026-11-22T05:00:02.925Z")
        if self.audio.direct is not None and self.audio.direct.frame(memoryview(message)):
            self.fast += 1
            return
        decoded = decode(message)
        assert isinstance(decoded, AudioData)
        self.audio.take(decoded, now)

    def until(self, now: float) -> None:
        while (at := self.ticker.at) is not None:
            beat = max(math.ceil(at / BEAT_S), self._beat + 1)
            if beat * BEAT_S > now:
                return
            self._beat = beat
            self.audio.tick(beat * BEAT_S)

    @property
    def pcm(self) -> bytes:
        assert all(isinstance(entry, AudioFrame) and len(entry.pcm24k) == 960 for entry in self.outlet.entries)
        return b"".join(entry.pcm24k for entry in self.outlet.entries if isinstance(entry, AudioFrame))

    def seconds_of(self, hz: int) -> float:
        """Return how long this tone was written, at the level of its speaker."""
        samples = np.frombuffer(self.pcm, "<i2").astype(float)
        n = np.arange(len(samples))
        peak = abs(np.dot(samples, np.exp(-2j * np.pi * hz * n / RATE_HZ))) * 2 / LEVEL
        return float(peak) / RATE_HZ


def line(opened: float) -> CallerLine:
    return CallerLine(RATE_HZ, opened, Speech(RATE_HZ), threshold=200, record=False)


def conversation(socket: Socket, forms: CallForms, *, known: bool = False) -> None:
    """Place a call of 4 s. The caller speaks from 0.2 to 1.2 s and from 2.2 to 3.2 s; a person joins at 1 s and speaks
    from 1.8 to 2.8 s; the agent, whose audio may come back, speaks from 3 to 3.6 s. `known`: the person's join is known
    from the record.
    """
    lines = {CALLER: line(BEGIN)}
    frames = SpeakerFrames()
    for number in range(200):
        now = BEGIN + number * 0.02 + 0.005
        if number in (10, 110):
            lines[CALLER].say(tone(CALLER_HZ, 1.0), "")
        if number == 50:
            lines[PERSON] = line(now)
            if known:
                socket.audio.know([Participant(PERSON, state="joined")])
        if number == 90:
            lines[PERSON].say(tone(PERSON_HZ, 1.0), "")
        if number == 150:
            lines[CALLER].play(tone(OUR_HZ, 0.6), now)
        for one in lines.values():
            one.tick(now)
        for frame in frames.unmixed(lines, forms, now, caller=CALLER):
            socket.send(frame, now)
        for frame in frames.own(lines, forms, OURS):
            socket.send(frame, now)
    socket.until(BEGIN + 4.1)


SILENT: list[Literal["frames", "none"]] = ["frames", "none"]
TIMING: list[Literal["together", "apart", "bursts"]] = ["together", "apart", "bursts"]
OWN: list[Literal["absent", "own_id"]] = ["absent", "own_id"]
FORMS = [
    CallForms(silent_party=silent, frame_timing=timing, own_audio=own, join_frames_s=delay_s)
    for silent, timing, own, delay_s in itertools.product(SILENT, TIMING, OWN, [0.0, 0.5])
]


@pytest.mark.parametrize("forms", FORMS, ids=str)
def test_everyone_is_heard_once_and_we_are_not(forms: CallForms) -> None:
    socket = Socket()
    socket.audio.listen("all")
    conversation(socket, forms)
    assert socket.seconds_of(CALLER_HZ) == pytest.approx(2.0, abs=0.07)
    assert socket.seconds_of(PERSON_HZ) == pytest.approx(1.0, abs=0.07)
    assert socket.seconds_of(OUR_HZ) == pytest.approx(0.0, abs=0.01)
    _has_no_gap(socket, _until_the_first_words(forms))


@pytest.mark.parametrize("forms", FORMS, ids=str)
def test_only_the_caller_is_heard_unless_everyone_is_selected(forms: CallForms) -> None:
    socket = Socket()
    conversation(socket, forms)
    assert socket.seconds_of(CALLER_HZ) == pytest.approx(2.0, abs=0.07)
    assert socket.seconds_of(PERSON_HZ) == pytest.approx(0.0, abs=0.01)
    assert socket.seconds_of(OUR_HZ) == pytest.approx(0.0, abs=0.01)
    _has_no_gap(socket, _until_the_first_words(forms))


@pytest.mark.parametrize("forms", FORMS, ids=str)
def test_silence_is_written_from_the_join_on(forms: CallForms) -> None:
    socket = Socket()
    conversation(socket, forms, known=True)
    assert socket.seconds_of(CALLER_HZ) == pytest.approx(2.0, abs=0.07)
    _has_no_gap(socket)


def _has_no_gap(socket: Socket, missing_s: float = 0.0) -> None:
    """Check that the audio is as long as the call."""
    assert len(socket.pcm) / 2 / RATE_HZ == pytest.approx(4.0 - missing_s, abs=0.15)


def _until_the_first_words(forms: CallForms) -> float:
    """Seconds from the join to the first frame of the other person, while nothing shows that there are several. If
    silent people have no frames, the audio is shorter by it.
    """
    return 0.6 if forms.silent_party == "none" else 0.0


@pytest.mark.parametrize("stopped", ["silent", "none"])
def test_a_person_on_hold_is_silent(stopped: Literal["silent", "none"]) -> None:
    socket, frames = Socket(), SpeakerFrames()
    socket.audio.listen("all")
    lines = {CALLER: line(BEGIN), PERSON: line(BEGIN)}
    lines[CALLER].say(tone(CALLER_HZ, 1.0), "")
    lines[PERSON].say(tone(PERSON_HZ, 1.0), "")
    for number in range(75):
        now = BEGIN + number * 0.02
        lines[PERSON].on_hold = number >= 25
        for one in lines.values():
            one.tick(now)
        for frame in frames.unmixed(lines, CallForms(stopped_party=stopped), now, caller=CALLER):
            socket.send(frame, now)
    socket.until(BEGIN + 1.6)
    assert socket.seconds_of(CALLER_HZ) == pytest.approx(1.0, abs=0.03)
    assert socket.seconds_of(PERSON_HZ) == pytest.approx(0.5, abs=0.03)
    assert len(socket.pcm) / 2 / RATE_HZ == pytest.approx(1.5, abs=0.15)


@pytest.mark.parametrize("form", ["absent", "null", "loudest"])
def test_mixed_audio_is_forwarded_as_it_is_whatever_its_id(form: Literal["absent", "null", "loudest"]) -> None:
    socket, frames = Socket(mixed=True), SpeakerFrames()
    lines = {CALLER: line(BEGIN), PERSON: line(BEGIN)}
    lines[CALLER].say(tone(CALLER_HZ, 1.0), "")
    for number in range(100):
        now = BEGIN + number * 0.02
        if number == 25:
            lines[PERSON].say(tone(PERSON_HZ, 1.0), "")
        for one in lines.values():
            one.tick(now)
        socket.send(frames.mixed(lines, CallForms(mixed_id=form)), now)
    assert len(socket.outlet.entries) == 100
    assert socket.seconds_of(CALLER_HZ) == pytest.approx(1.0, abs=0.01)
    assert socket.seconds_of(PERSON_HZ) == pytest.approx(1.0, abs=0.01)
    assert socket.ticker.at is None


def test_a_call_with_one_speaker_is_not_decoded_and_has_no_timer() -> None:
    socket = Socket()
    for number in range(50):
        socket.send(SpeakerFrame(CALLER, tone(CALLER_HZ, 0.02)), BEGIN + number * 0.02)
    compiled = UplinkEncoder(RecordingOutlet(), RATE_HZ).frame(memoryview(AudioEncoder("").encode(bytes(960), b"t")))
    assert socket.fast == (49 if compiled else 0)
    assert len(socket.outlet.entries) == 50
    assert socket.ticker.at is None


@pytest.mark.parametrize(("to", "dropped"), [("caller", PERSON_HZ), ("others", CALLER_HZ)])
def test_a_change_of_the_selection_drops_what_waits_of_the_others(to: str, dropped: int) -> None:
    socket = Socket()
    socket.audio.listen("all")
    for number in range(10):
        now = BEGIN + number * 0.02
        socket.send(SpeakerFrame(CALLER, tone(CALLER_HZ, 0.02)), now)
        faster = PERSON if dropped == PERSON_HZ else CALLER
        socket.send(SpeakerFrame(PERSON, tone(PERSON_HZ, 0.02)), now)
        socket.send(SpeakerFrame(faster, tone(dropped, 0.02)), now)
    before = socket.seconds_of(dropped)
    socket.audio.listen(to)
    for number in range(10, 30):
        now = BEGIN + number * 0.02
        socket.send(SpeakerFrame(CALLER, tone(CALLER_HZ, 0.02)), now)
        socket.send(SpeakerFrame(PERSON, tone(PERSON_HZ, 0.02)), now)
    assert socket.seconds_of(dropped) == pytest.approx(before, abs=0.001)


def test_a_cut_burst_is_counted() -> None:
    def cut() -> float:
        (family,) = metrics.CUT_FRAMES.collect()
        return next(sample.value for sample in family.samples if sample.name.endswith("_total"))

    before, socket = cut(), Socket()
    socket.audio.listen("all")
    socket.send(SpeakerFrame(CALLER, tone(CALLER_HZ, 0.02)), BEGIN)
    for _ in range(100):
        socket.send(SpeakerFrame(PERSON, tone(PERSON_HZ, 0.02)), BEGIN)
    assert 80 < cut() - before < 100


def test_nothing_is_written_after_the_end() -> None:
    socket = Socket()
    for raw_id in (CALLER, PERSON):
        socket.send(SpeakerFrame(raw_id, tone(CALLER_HZ, 0.02)), BEGIN)
    socket.audio.stop()
    written = len(socket.outlet.entries)
    socket.audio.tick(BEGIN + 1)
    decoded = AudioData(pcm=bytes(960), silent=False, participant=CALLER, timestamp="")
    socket.audio.take(decoded, BEGIN + 1)
    assert len(socket.outlet.entries) == written
    assert socket.ticker.at is None
