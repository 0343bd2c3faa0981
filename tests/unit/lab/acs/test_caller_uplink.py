from __future__ import annotations

from base64 import b64decode

from lab.acs.caller_uplink import CallerEnds, CallerSays, Marks, Speech
from tests.support.mark_reader import Mark, MarkReader


def test_speech_is_cut_into_frames_and_filled_up_with_silence() -> None:
    speech = Speech(16_000)
    assert speech.next_frame(0.0) is None
    utterance = speech.say(b"\1\0" * 500, "hello")
    assert speech.next_frame(0.02) == b"\1\0" * 320
    assert (utterance.sent_bytes, speech.changes()) == (640, [CallerSays("hello")])
    assert speech.next_frame(0.04) == b"\1\0" * 180 + bytes(280)
    assert utterance.finished
    assert speech.changes() == [CallerEnds("hello")]
    assert speech.next_frame(0.06) is None
    assert speech.changes() == []


def test_utterances_follow_one_another_and_an_empty_one_is_over_at_once() -> None:
    speech = Speech(16_000)
    assert speech.say(b"", "").finished
    speech.say(b"\1\0" * 320, "one")
    speech.say(b"\2\0" * 320, "two")
    assert [speech.next_frame(0.0), speech.next_frame(0.02)] == [b"\1\0" * 320, b"\2\0" * 320]
    assert speech.changes() == [CallerSays("one"), CallerEnds("one"), CallerSays("two"), CallerEnds("two")]


def test_the_sound_of_a_key_is_no_utterance() -> None:
    speech = Speech(16_000)
    speech.press(b"\1\0" * 500)
    assert speech.next_frame(0.0) == b"\1\0" * 320
    assert speech.next_frame(0.02) == b"\1\0" * 180 + bytes(280)
    assert speech.next_frame(0.04) is None
    assert speech.changes() == []


def test_marks_are_numbered_from_zero_and_remembered_with_their_times() -> None:
    marks = Marks(9, 24_000)
    pcm = b"".join(marks.next_frame(n / 50) for n in range(4))
    assert MarkReader(24_000).feed(pcm) == [Mark(9, n) for n in range(4)]
    assert marks.sent == [(n, n / 50) for n in range(4)]
    assert marks.changes() == []


def test_marks_as_text_count_when_they_were_sent() -> None:
    marks = Marks(9, 16_000)
    first = marks.next_base64()
    assert marks.next_base64() == first
    assert marks.sent == []
    marks.was_sent(1.5)
    assert marks.sent == [(0, 1.5)]
    second = b64decode(marks.next_base64())
    assert MarkReader(16_000).feed(b64decode(first) + second + second[:2] + bytes(640))[:1] == [Mark(9, 0)]
