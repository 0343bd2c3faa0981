"""From where the relay after this one has to read."""

from __future__ import annotations

from agent_relay.core.uplink_cursor import PREROLL_FRAMES, UplinkCursor


def passed(cursor: UplinkCursor, first: int, count: int, *, caller_waits: bool = False) -> None:
    for seq in range(first, first + count):
        cursor.passed(f"7-{seq}", caller_waits=caller_waits)


def test_it_follows_what_was_passed_on() -> None:
    cursor = UplinkCursor("5-9")
    assert cursor.text == "5-9"
    passed(cursor, 1, 100)
    assert cursor.text == "7-100"


def test_while_the_caller_waits_it_stays_before_they_began() -> None:
    cursor = UplinkCursor("0-0")
    passed(cursor, 1, 100)
    passed(cursor, 101, 200, caller_waits=True)
    assert cursor.text == f"7-{101 - PREROLL_FRAMES + 1}"
    passed(cursor, 301, 1)
    assert cursor.text == "7-301"
    passed(cursor, 302, 1, caller_waits=True)
    assert cursor.text == f"7-{302 - PREROLL_FRAMES + 1}"
