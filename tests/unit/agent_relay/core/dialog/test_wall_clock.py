from __future__ import annotations

from agent_relay.core.dialog.conversation_commands import Record
from agent_relay.core.dialog.wall_clock import WallClock
from bridge_common.wire.entries import Notice


def test_monotonic_seconds_become_unix_milliseconds() -> None:
    clock = WallClock(1000.5)
    assert clock.unix_ms(2.25) == 1_002_750
    assert clock.notice("tones", "12", 2.25) == Record(Notice("tones", "12", 1_002_750))
    assert clock.notice("tones", "12", 2.25, private=True).private
