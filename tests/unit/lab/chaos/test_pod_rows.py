"""The rows in which pods come and go."""

from __future__ import annotations

import pytest

from lab.chaos.local_fleet import CONTROL, RELAY
from lab.chaos.pod_rows import POD_ROWS
from lab.chaos.row import ChaosRow


def test_there_is_a_row_for_a_roll_out_a_scale_down_and_a_crash_under_arrivals() -> None:
    plans = {row.name: row.plan for row in POD_ROWS}
    assert list(plans) == ["rolling-update", "scale-down", "relay-crash-ringing"]
    update, down = plans["rolling-update"], plans["scale-down"]
    assert (update.gateways, update.relays, update.controls) == (3, 3, 2)
    assert set(down.counts().values()) == {4}
    assert plans["relay-crash-ringing"].extra[CONTROL]["REDIRECT_TARGET"], "callers can be diverted"


@pytest.mark.parametrize("row", POD_ROWS, ids=lambda row: row.name)
def test_voice_live_and_the_relays_have_the_same_quota(row: ChaosRow) -> None:
    quota = row.plan.extra["voice-live"]["NEW_CONNECTIONS_PER_MINUTE"]
    assert row.plan.extra[RELAY]["VOICE_LIVE_CONNECTIONS_PER_MIN"] == quota
    targets = {str(target) for target in row.targets}
    assert {f"most_connections <= {quota}", "refused_429 == 0", "went_on_pct == 100"} <= targets
