"""The rows about Voice Live stand in the table."""

from __future__ import annotations

import pytest

from lab.chaos.local_fleet import RELAY
from lab.chaos.row import NEVER_SILENT
from lab.chaos.rows import ROWS
from lab.chaos.voice_rows import VOICE_ROWS


def test_they_are_part_of_the_table() -> None:
    assert all(row in ROWS for row in VOICE_ROWS)


def test_who_loses_the_voice_is_never_left_in_silence() -> None:
    lost = [row for row in VOICE_ROWS if "drop" in row.fault or "mute" in row.fault]
    assert lost
    assert all(NEVER_SILENT in row.targets for row in lost)


@pytest.mark.parametrize(("name", "connections"), [("relay-crash-quota", "30"), ("relay-drain-quota", "25")])
def test_with_a_quota_fleet_and_voice_live_count_alike(name: str, connections: str) -> None:
    (row,) = [row for row in VOICE_ROWS if row.name == name]
    told, counted = row.plan.extra[RELAY], row.plan.extra["voice-live"]
    assert told["VOICE_LIVE_CONNECTIONS_PER_MIN"] == counted["NEW_CONNECTIONS_PER_MINUTE"] == connections
