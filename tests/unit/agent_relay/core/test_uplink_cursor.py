"""The position from which the next relay of a call reads."""

from __future__ import annotations

from agent_relay.core.uplink_cursor import PREROLL_FRAMES, UplinkCursor


def passed(cursor: UplinkCursor, first: int, count: int, *, caller_waits: bool = False) -> None:
    for seq in range(first, first + count):
        cursor.passed(f"7-{seq}", caller_waits=caller_waits)


def test_it_follows_forwarded_audio() -> None:
    cursor = UplinkCursor("5-9")
    assert cursor.text == "5-9"
    passed(cursor, 1, 100)
    assert cursor.text == "7-100"


def test_while_the_caller_waits_it_stays_before_their_turn() -> None:
    cursor = UplinkCursor("0-0")
    passed(cursor, 1, 100)
    passed(cursor, 101, 200, caller_waits=True)
    assert cursor.text == f"7-{101 - PREROLL_FRAMES + 1}"
    passed(cursor, 301, 1)
    assert cursor.text == "7-301"
    passed(cursor, 302, 1, caller_waits=True)
    assert cursor.text == f"7-{302 - PREROLL_FRAMES + 1}"


def test_the_next_relay_reads_from_before_the_point_of_the_hand_over() -> None:
    cursor = UplinkCursor("5-9")
    assert cursor.rewound == "5-9"
    passed(cursor, 1, 100)
    assert cursor.rewound == f"7-{100 - PREROLL_FRAMES + 1}"
    passed(cursor, 101, 200, caller_waits=True)
    assert cursor.rewound == cursor.text


def test_it_stops_after_the_last_frame_and_the_last_tone() -> None:
    cursor = UplinkCursor("5-9")
    assert cursor.stop(typing=False) == ("5-9", "5-9")
    passed(cursor, 1, 3)
    cursor.tone("7-4", typing=False)
    passed(cursor, 5, 3)
    assert cursor.stop(typing=False) == ("7-7", "7-4")


def test_incomplete_tones_are_left_to_the_next_relay() -> None:
    cursor = UplinkCursor("5-9")
    cursor.tone("7-1", typing=False)
    cursor.tone("7-2", typing=True)
    cursor.tone("7-5", typing=False)
    cursor.tone("7-6", typing=True)
    assert cursor.stop(typing=True) == ("5-9", "7-2")


def test_tones_that_are_not_sent_yet_are_read_again_after_a_crash() -> None:
    cursor = UplinkCursor("0-0")
    cursor.passed("1-1", caller_waits=False)
    cursor.tone("1-2", typing=False)
    cursor.passed("1-3", caller_waits=False)
    cursor.tone("1-4", typing=True)
    cursor.passed("1-5", caller_waits=False)
    assert cursor.after_crash(typing=True) == "1-1"
    assert cursor.after_crash(typing=False) == "1-5"
    cursor.passed("1-10", caller_waits=True)
    cursor.tone("1-11", typing=False)
    assert cursor.after_crash(typing=True) == "1-1", "the caller's turn began before"
