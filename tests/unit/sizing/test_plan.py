"""The plan: cells, pods, resources."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sizing.deployed import CONTROL, GATEWAY, RELAY
from sizing.plan import Model, cells, plan


def test_arrivals_follow_littles_law(model: Model) -> None:
    assert model.per_min(1000) == pytest.approx(333.3, rel=0.001)
    short = replace(model, assumed=replace(model.assumed, mean_call_s=60.0))
    assert plan(short, 1000)["new calls a minute"] == 1000


def test_pods_are_those_that_the_autoscaler_requests(model: Model) -> None:
    deployed, target = model.deployed, model.deployed.scaling(RELAY).target
    calls = int(3 * target / (1 + deployed.buffer_percent / 100))
    assert calls * deployed.buffer_percent / 100 >= deployed.buffer_calls
    assert model.pods(RELAY, calls) == 3
    assert model.pods(RELAY, calls + 1) == 4
    assert model.pods(GATEWAY, 1) == model.deployed.scaling(GATEWAY).minimum
    assert model.pods(CONTROL, 10**6) == model.deployed.scaling(CONTROL).maximum


def test_a_cell_has_as_many_calls_as_its_redis_carries(model: Model) -> None:
    most = model.cell_calls()
    assert model.redis_ms(most) <= 600 < model.redis_ms(most + 1)
    assert cells(model, most) == (1, most)
    assert cells(model, most + 1)[0] == 2
    assert cells(model, 10 * most) == (10, most)


def test_more_primaries_divide_only_the_cost_of_calls(model: Model) -> None:
    fixed = model.redis_ms(100, 10**9)
    assert model.redis_ms(100, 2) - fixed == pytest.approx((model.redis_ms(100) - fixed) / 2)
    assert model.cell_calls(1) < model.cell_calls(8) < 8 * model.cell_calls(1)


def test_resources_are_for_arrivals_a_drain_and_a_dead_relay(model: Model) -> None:
    """For 100 calls: 33.9 tokens of arrivals, 51.4 with three deviations, 17.4 handed over, 40 of a dead relay."""
    assert model.deployed.scaling(RELAY).target == 40
    assert pytest.approx(3.6, abs=0.05) == (51.4 + 17.4 + 40) / 30
    assert model.resources(100) == 4
    assert model.resources(10) == 1
    assert model.resources(1000) == 18


def test_a_higher_quota_needs_fewer_resources(model: Model) -> None:
    higher = replace(model, deployed=replace(model.deployed, connections_per_min=300))
    assert higher.resources(100) == 1


def test_tokens_may_need_more_resources_than_connections(model: Model) -> None:
    few_tokens = replace(model, assumed=replace(model.assumed, tokens_per_min=12_000))
    assert few_tokens.resources(100) == few_tokens.resources_for_tokens(100) == 10


def test_redis_and_networks_grow_with_the_calls(model: Model) -> None:
    small, large = plan(model, 100), plan(model, 1000)
    for name in ("Redis: MB/s in", "ACS media: MB/s out", "Voice Live: MB/s in"):
        assert large[name] == pytest.approx(10 * small[name])
    assert large["Voice Live: resources"] == large["cells"] * large["Voice Live: resources of a cell"]
    assert large["`CALLS_PER_MIN` of a cell"] == 24 * large["Voice Live: resources of a cell"]
