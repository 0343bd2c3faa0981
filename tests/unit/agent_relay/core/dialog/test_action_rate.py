"""A model that loops is stopped."""

from __future__ import annotations

from agent_relay.core.dialog.action_rate import ActionRate


def test_ten_actions_within_ten_seconds() -> None:
    rate = ActionRate()
    assert [rate.take(now) for now in range(12)] == [True] * 12, "one a second is allowed"
    assert [rate.take(12.0) for _ in range(9)] == [True, *[False] * 8]
    assert rate.take(13.0)
