"""Detection of growth in memory, files, tasks and keys."""

from __future__ import annotations

import pytest

from lab.chaos.soak import Growth, Samples


def grown(*values: float) -> Growth:
    growth = Growth()
    for value in values:
        growth.add(value)
    return growth


def test_a_slope_is_growth_and_a_warm_up_is_not() -> None:
    assert grown(*[10.0] * 10, *[100.0] * 30).growth() == 0
    assert grown(*[float(value) for value in range(40)]).growth() == pytest.approx(20)
    assert grown(1.0, 3.0).mean() == 2.0


def test_use_after_a_burst_does_not_raise_the_minimum_and_a_slope_does() -> None:
    bursts = [10.0, 10.0, 10.0, 24.0] * 5 + [10.0, 24.0, 24.0, 24.0] * 5
    assert grown(*bursts).growth() > 5
    assert grown(*bursts).growth_of_least() == 0
    leaking = [value + moment // 4 for moment, value in enumerate(bursts)]
    assert grown(*leaking).growth_of_least() >= 4


def test_without_samples_growth_is_zero() -> None:
    assert (Growth().growth(), Growth().growth_of_least(), Growth().mean()) == (0.0, 0.0, 0.0)


def test_calls_that_move_to_another_replica_do_not_count_as_growth() -> None:
    samples = Samples()
    for moment in range(40):
        here = 30.0 if moment < 20 else 10.0
        files = {"media-gateway-1": here, "media-gateway-2": 40.0 - here, "call-control-1": 50.0 + moment}
        tasks = {"agent-relay-1": 7.0, "agent-relay-2": 8.0}
        seen = {"memory": {"call-control-1": 100.0}, "files": files, "tasks": tasks, "keys": {"redis": 9.0}}
        samples.add(seen)
    assert samples.facts() == {
        "memory_growth_pct_worst": 0.0,
        "memory_growth_pct_call-control": 0.0,
        "files_growth_worst": pytest.approx(20),
        "files_growth_media-gateway": 0.0,
        "files_growth_call-control": pytest.approx(20),
        "tasks_growth_worst": 0.0,
        "tasks_growth_agent-relay": 0.0,
        "keys_growth_worst": 0.0,
        "keys_growth_redis": 0.0,
    }
