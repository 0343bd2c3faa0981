"""Detection of the time at which a relay that is cut off from Redis has muted its calls."""

from __future__ import annotations

from unittest.mock import Mock

from lab.chaos import redis_faults
from lab.chaos.row import Scene


def test_a_relay_is_fenced_when_all_its_calls_are_muted() -> None:
    cut_off = redis_faults.relay_cut_off(0.2)
    there = Scene(Mock(), Mock())
    there.fleet = Mock(links={"relay": Mock()})
    there.fleet.running.return_value = ["relay"]
    there.fleet.owned_by_pid.return_value = {"relay": 4}
    there.fleet.active_calls.return_value = 4
    there.fleet.metric.side_effect = [0, 3, 4]
    assert 0 < cut_off(there)["self_fence_s"] < 0.2
    there.fleet.metric.side_effect = None
    there.fleet.metric.return_value = 3
    assert cut_off(there)["self_fence_s"] == float("inf")
    assert [call.args for call in there.fleet.links["relay"].silence.call_args_list] == [(True,), (False,)] * 2
