"""The read command is what hiredis would pack."""

from __future__ import annotations

import pytest

from bridge_common.redis_wire import pack
from bridge_common.stream_subscription import Subscription, read_command


def subscription(key: str, cursor: str) -> Subscription:
    return Subscription(key, cursor.encode(), lambda *_: None, 0.0)


@pytest.mark.parametrize("names", [("s",), ("s", "{s00}:call:x:uplink", "t")])
def test_many_streams_in_one_command(names: tuple[str, ...]) -> None:
    streams = [subscription(name, f"{number}-17") for number, name in enumerate(names)]
    cursors = [f"{number}-17" for number in range(len(names))]
    assert read_command(streams, 64) == pack(b"XREAD", b"COUNT", 64, b"STREAMS", *names, *cursors)
    waiting = pack(b"XREAD", b"COUNT", 4, b"BLOCK", 20, b"STREAMS", *names, *cursors)
    assert read_command(streams, 4, block_ms=20) == waiting


def test_a_moved_cursor_is_asked_for() -> None:
    one = subscription("s", "0-0")
    one.move(b"5-1")
    assert read_command([one], 1) == pack(b"XREAD", b"COUNT", 1, b"STREAMS", "s", "5-1")
