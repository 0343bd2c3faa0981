"""The rows about Voice Live are part of the table and have consistent settings."""

from __future__ import annotations

import pytest

from lab.chaos.local_fleet import RELAY
from lab.chaos.row import NEVER_SILENT
from lab.chaos.rows import ROWS
from lab.chaos.voice_rows import VOICE_ROWS


def test_they_are_part_of_the_table() -> None:
    assert all(row in ROWS for row in VOICE_ROWS)


def test_rows_that_lose_the_voice_session_limit_the_silence() -> None:
    lost = [row for row in VOICE_ROWS if "drop" in row.fault or "mute" in row.fault]
    assert lost
    assert all(NEVER_SILENT in row.targets for row in lost)


@pytest.mark.parametrize(("name", "connections"), [("relay-crash-quota", "30"), ("relay-drain-quota", "25")])
def test_relays_and_voice_live_have_the_same_quota(name: str, connections: str) -> None:
    (row,) = [row for row in VOICE_ROWS if row.name == name]
    relay, voice_live = row.plan.extra[RELAY], row.plan.extra["voice-live"]
    assert relay["VOICE_LIVE_CONNECTIONS_PER_MIN"] == voice_live["NEW_CONNECTIONS_PER_MINUTE"] == connections
