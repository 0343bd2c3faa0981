"""Position in a stream, and the command that reads after it, byte for byte as hiredis packs it."""

from __future__ import annotations

import pytest

from bridge_common.redis.pipeline import pack
from bridge_common.streams.subscription import Subscription, read_command


def subscription(key: str, cursor: str) -> Subscription:
    return Subscription(key, cursor.encode(), lambda *_: None)


@pytest.mark.parametrize("names", [("s",), ("s", "{s00}:call:x:uplink", "t")])
def test_many_streams_in_one_command(names: tuple[str, ...]) -> None:
    streams = [subscription(name, f"{number}-17") for number, name in enumerate(names)]
    cursors = [f"{number}-17" for number in range(len(names))]
    assert read_command(streams, 64) == pack(b"XREAD", b"COUNT", 64, b"STREAMS", *names, *cursors)


def test_the_command_has_the_current_cursor() -> None:
    one = subscription("s", "0-0")
    one.move(b"5-1")
    assert read_command([one], 1) == pack(b"XREAD", b"COUNT", 1, b"STREAMS", "s", "5-1")
    one.step()
    assert read_command([one], 1) == pack(b"XREAD", b"COUNT", 1, b"STREAMS", "s", "5-2")


def test_only_the_next_entry_of_the_same_writer_follows() -> None:
    one = subscription("s", "1764-9")
    assert one.next_id == b"1764-10"
    one.step()
    assert (one.cursor, one.next_id) == (b"1764-10", b"1764-11")


def test_nothing_follows_between_losing_track_and_the_next_read() -> None:
    one = subscription("s", "5-1")
    one.lose_track()
    assert one.next_id == b""
    one.track()
    assert one.next_id == b"5-2"
    one.lose_track()
    one.move(b"6-1")
    assert one.next_id == b"6-2"


@pytest.mark.parametrize(
    ("entry_id", "expected"),
    [
        (b"5-9", True),
        (b"5-10", True),
        (b"4-99", True),
        (b"5-11", False),
        (b"10-1", False),
        (b"", False),
        (b"5", False),
        (b"5-", False),
        (b"-1", False),
        (b"five-1", False),
    ],
)
def test_ids_are_compared_as_numbers(entry_id: bytes, expected: bool) -> None:
    assert subscription("s", "5-10").has(entry_id) is expected


def test_a_cursor_may_be_without_a_sequence() -> None:
    assert subscription("s", "5").next_id == b"5-1"


def test_silence_is_the_time_between_answered_reads_that_found_nothing() -> None:
    one = subscription("s", "5-1")
    assert one.silent_s == 0
    for tenth in range(11):
        one.found_nothing(100 + tenth / 10)
    assert one.silent_s == pytest.approx(1.0)
    one.break_silence()
    assert one.silent_s == 0


def test_time_without_answers_is_no_silence() -> None:
    """Redis was unreachable, or this process was stalled."""
    one = subscription("s", "5-1")
    one.found_nothing(100.0)
    one.found_nothing(100.1)
    one.found_nothing(105.0)
    assert one.silent_s == 0
    one.found_nothing(105.2)
    assert one.silent_s == pytest.approx(0.2)
