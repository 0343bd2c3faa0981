from __future__ import annotations

import base64
import json
import sys

from agent_relay.core.uplink_cursor import KEPT_FRAMES, PREROLL_FRAMES
from agent_relay.voice.uplink_audio import MOST_FRAMES, UplinkAudio


def _frame(number: int) -> bytes:
    return number.to_bytes(2, "little") * 480


def _all(audio: UplinkAudio) -> list[bytes]:
    appends = []
    while append := audio.take():
        appends.append(base64.b64decode(json.loads(append)["audio"]))
    return appends


def test_a_frame_is_forwarded_by_itself() -> None:
    audio = UplinkAudio()
    audio.add(_frame(1))
    assert _all(audio) == [_frame(1)]


def test_after_a_gap_frames_go_together_in_order() -> None:
    audio = UplinkAudio()
    frames = [_frame(n) for n in range(12)]
    for frame in frames:
        audio.add(frame)
    appends = _all(audio)
    assert [len(append) // 960 for append in appends] == [MOST_FRAMES, MOST_FRAMES, 2]
    assert b"".join(appends) == b"".join(frames)


def test_only_the_last_five_seconds_are_kept() -> None:
    audio = UplinkAudio()
    for n in range(KEPT_FRAMES + 30):
        audio.add(_frame(n))
    assert b"".join(_all(audio))[:960] == _frame(30)
    assert audio.dropped == 30


def _forwarded(audio: UplinkAudio, numbers: range) -> None:
    for n in numbers:
        audio.forwarded(_frame(n))


def _waiting(audio: UplinkAudio) -> list[int]:
    joined = b"".join(_all(audio))
    return [int.from_bytes(joined[at : at + 2], "little") for at in range(0, len(joined), 960)]


def test_frames_after_the_last_sign_of_life_go_to_the_next_session_before_those_that_wait() -> None:
    audio = UplinkAudio()
    _forwarded(audio, range(10))
    audio.session_alive(caller_speaks=False)
    _forwarded(audio, range(10, 13))
    audio.add(_frame(13))
    audio.session_over()
    assert _waiting(audio) == [10, 11, 12, 13]


def test_frames_that_waited_and_were_sent_then_are_in_doubt_as_well() -> None:
    audio = UplinkAudio()
    for n in range(7):
        audio.add(_frame(n))
    assert _waiting(audio) == list(range(7))
    audio.session_over()
    assert _waiting(audio) == list(range(7))


def test_audio_in_doubt_is_bounded() -> None:
    audio = UplinkAudio()
    _forwarded(audio, range(2 * KEPT_FRAMES))
    audio.session_over()
    assert _waiting(audio) == list(range(KEPT_FRAMES, 2 * KEPT_FRAMES))
    assert audio.dropped == 0, "none of the dropped frames was certainly lost"


def test_a_turn_that_is_not_over_goes_to_the_next_session_from_its_beginning() -> None:
    audio = UplinkAudio()
    _forwarded(audio, range(100))
    audio.session_alive(caller_speaks=True)
    _forwarded(audio, range(100, 150))
    audio.session_alive(caller_speaks=True)
    audio.session_ends_in_order()
    audio.session_over()
    assert _waiting(audio) == list(range(100 - PREROLL_FRAMES, 150))


def test_a_turn_that_is_over_is_not_repeated() -> None:
    audio = UplinkAudio()
    audio.session_alive(caller_speaks=True)
    _forwarded(audio, range(50))
    audio.session_alive(caller_speaks=False)
    _forwarded(audio, range(50, 52))
    audio.session_over()
    assert _waiting(audio) == [50, 51]


def test_a_session_that_ends_in_order_has_received_all() -> None:
    audio = UplinkAudio()
    _forwarded(audio, range(10))
    audio.session_ends_in_order()
    _forwarded(audio, range(10, 12))
    audio.session_over()
    assert _waiting(audio) == [10, 11], "sent to a socket that was closed already"


def test_the_next_session_starts_without_frames_in_doubt() -> None:
    audio = UplinkAudio()
    audio.session_alive(caller_speaks=True)
    _forwarded(audio, range(10))
    audio.session_over()
    assert _waiting(audio) == list(range(10))
    audio.session_alive(caller_speaks=False)
    audio.session_over()
    assert _waiting(audio) == []


def test_frames_that_the_session_has_heard_are_released_but_for_the_preroll() -> None:
    audio, frames = UplinkAudio(), [bytes([number]) * 960 for number in range(KEPT_FRAMES)]
    unused = sys.getrefcount(bytes([255]) * 960)
    for frame in frames:
        audio.forwarded(frame)
    audio.session_alive(caller_speaks=False)
    kept = [sys.getrefcount(frames[number]) > unused + 1 for number in range(KEPT_FRAMES)]
    assert kept == [False] * (KEPT_FRAMES - PREROLL_FRAMES) + [True] * PREROLL_FRAMES
    audio.session_alive(caller_speaks=True)
    audio.session_over()
    assert len(audio) == PREROLL_FRAMES
