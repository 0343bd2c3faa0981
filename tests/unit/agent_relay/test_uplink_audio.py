from __future__ import annotations

import base64
import json

from agent_relay.uplink_audio import KEPT_FRAMES, MOST_FRAMES, UplinkAudio


def _frame(number: int) -> bytes:
    return number.to_bytes(2, "little") * 480


def _all(audio: UplinkAudio) -> list[bytes]:
    appends = []
    while append := audio.take():
        appends.append(base64.b64decode(json.loads(append)["audio"]))
    return appends


def test_a_frame_is_passed_on_by_itself() -> None:
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


def test_only_the_last_two_seconds_are_kept() -> None:
    audio = UplinkAudio()
    for n in range(KEPT_FRAMES + 30):
        audio.add(_frame(n))
    assert b"".join(_all(audio))[:960] == _frame(30)
    assert audio.dropped == 30
