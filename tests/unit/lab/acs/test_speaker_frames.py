from __future__ import annotations

import numpy as np

from lab.acs.caller_line import CallerLine
from lab.acs.caller_uplink import Speech
from lab.acs.forms import CallForms
from lab.acs.speaker_frames import SpeakerFrame, SpeakerFrames

RATE_HZ = 16_000
CALLER, BOB = "4:+14255550100", "4:+14255550177"
PLAIN = CallForms()


def constant(level: int) -> bytes:
    return np.full(320, level, dtype="<i2").tobytes()


def line(level: int = 0, opened: float = 100.0) -> CallerLine:
    """Return a phone after one tick, in which the person said `level`, or nothing."""
    made = CallerLine(RATE_HZ, opened, Speech(RATE_HZ), threshold=200, record=False)
    if level:
        made.say(constant(level), "")
    made.tick(opened + 0.02)
    return made


def levels(frames: list[SpeakerFrame]) -> dict[str | None, int]:
    return {one.raw_id: 0 if one.pcm is None else int(np.frombuffer(one.pcm, "<i2")[0]) for one in frames}


def test_each_speaker_has_a_frame_of_their_own() -> None:
    lines = {CALLER: line(100), BOB: line(70)}
    frames = SpeakerFrames().unmixed(lines, PLAIN, 100.02, caller=CALLER)
    assert levels(frames) == {CALLER: 100, BOB: 70}
    assert {one.lag_ms for one in frames} == {0.0}


def test_only_four_people_are_sent_those_who_speak_first() -> None:
    lines = {f"8:acs:r_{n}": line(0 if n < 2 else n) for n in range(6)}
    frames = SpeakerFrames().unmixed(lines, PLAIN, 100.02, caller=CALLER)
    assert [one.raw_id for one in frames] == ["8:acs:r_2", "8:acs:r_3", "8:acs:r_4", "8:acs:r_5"]


def test_a_silent_party_has_frames_or_none() -> None:
    lines = {CALLER: line(100), BOB: line()}
    assert levels(SpeakerFrames().unmixed(lines, PLAIN, 100.02, caller=CALLER)) == {CALLER: 100, BOB: 0}
    forms = CallForms(silent_party="none")
    assert levels(SpeakerFrames().unmixed(lines, forms, 100.02, caller=CALLER)) == {CALLER: 100}
    assert levels(SpeakerFrames().unmixed({CALLER: line()}, forms, 100.02, caller=CALLER)) == {CALLER: 0}


def test_a_stopped_party_has_silent_frames_none_or_all() -> None:
    bob = line(70)
    bob.muted = True
    lines = {CALLER: line(100), BOB: bob}
    assert levels(SpeakerFrames().unmixed(lines, PLAIN, 100.02, caller=CALLER))[BOB] == 0
    assert BOB not in levels(SpeakerFrames().unmixed(lines, CallForms(stopped_party="none"), 100.02, caller=CALLER))
    assert (
        levels(SpeakerFrames().unmixed(lines, CallForms(stopped_party="continues"), 100.02, caller=CALLER))[BOB] == 70
    )


def test_frames_of_a_joining_party_can_come_late_but_not_those_of_the_caller() -> None:
    lines = {CALLER: line(100), BOB: line(70)}
    forms = CallForms(join_frames_s=2.0)
    assert levels(SpeakerFrames().unmixed(lines, forms, 101.9, caller=CALLER)) == {CALLER: 100}
    assert levels(SpeakerFrames().unmixed(lines, forms, 102.1, caller=CALLER)) == {CALLER: 100, BOB: 70}


def test_timestamps_can_differ_and_frames_can_come_in_bursts() -> None:
    lines = {CALLER: line(100), BOB: line(70)}
    apart = SpeakerFrames().unmixed(lines, CallForms(frame_timing="apart"), 100.02, caller=CALLER)
    assert [one.lag_ms for one in apart] == [0.0, 7.0]
    speakers, bursts = SpeakerFrames(), CallForms(frame_timing="bursts")
    assert speakers.unmixed(lines, bursts, 100.02, caller=CALLER) == []
    assert speakers.unmixed(lines, bursts, 100.04, caller=CALLER) == []
    third = speakers.unmixed(lines, bursts, 100.06, caller=CALLER)
    assert [one.raw_id for one in third] == [CALLER] * 3 + [BOB] * 3
    assert [one.lag_ms for one in third[:3]] == [40.0, 20.0, 0.0]


def test_the_applications_own_audio_can_come_back() -> None:
    caller = line(100)
    caller.agent_heard = constant(40)
    lines = {CALLER: caller, BOB: line(70)}
    assert SpeakerFrames().own(lines, PLAIN, "8:acs:app") == []
    speakers, own_id = SpeakerFrames(), CallForms(own_audio="own_id")
    assert levels(speakers.own(lines, own_id, "8:acs:app")) == {"8:acs:app": 40}
    caller.agent_heard = b""
    assert speakers.own(lines, own_id, "8:acs:app") == []
    caller.agent_heard = constant(40)
    assert levels([SpeakerFrames().mixed(lines, CallForms(own_audio="mixed"))]) == {"": 210}


def test_mixed_audio_is_one_frame_of_all() -> None:
    bob = line(70)
    lines = {CALLER: line(100), BOB: bob}
    speakers = SpeakerFrames()
    assert levels([speakers.mixed(lines, PLAIN)]) == {"": 170}
    assert levels([speakers.mixed(lines, CallForms(mixed_id="null"))]) == {None: 170}
    assert levels([speakers.mixed(lines, CallForms(mixed_id="loudest"))]) == {CALLER: 170}
    bob.on_hold = True
    assert levels([speakers.mixed(lines, PLAIN)]) == {"": 100}
