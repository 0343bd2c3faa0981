"""A model that loops is stopped."""

from __future__ import annotations

from agent_relay.core.dialog.action_rate import TOO_MANY, ActionRate


def test_ten_actions_within_ten_seconds() -> None:
    rate = ActionRate()
    assert [rate.fault_of("note", now) for now in range(12)] == [""] * 12, "one a second is allowed"
    assert [rate.fault_of("note", 12.0) for _ in range(9)] == ["", *[TOO_MANY] * 8]
    assert rate.fault_of("hang_up", 12.0) == ""
    assert rate.fault_of("note", 13.0) == ""
