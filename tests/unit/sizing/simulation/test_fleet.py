"""A whole fleet: what happens to calls under load, failures and roll-outs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sizing.simulation.arrivals import Curve
from sizing.simulation.fleet import Demand, Fleet, FleetSpec

HOUR_S = 3600.0


def test_a_seed_repeats_the_run(spec: FleetSpec) -> None:
    first, second, other = (Fleet(spec, seed).run(600.0) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_the_calls_are_those_of_the_curve(spec: FleetSpec) -> None:
    fleet = Fleet(spec, 1)
    counts = fleet.run(HOUR_S)
    assert counts.offered == pytest.approx(HOUR_S * 50 / 180, rel=0.1)
    assert 25 < fleet.connected < 80
    relay_hours, gateway_hours = fleet.hours()
    assert 2.0 <= relay_hours < 4.0
    assert gateway_hours == pytest.approx(2.0, abs=0.1)


def test_too_few_resources_divert_callers(spec: FleetSpec) -> None:
    """Bought for 30 new calls a minute where 24 are admitted."""
    short = replace(spec, curve=Curve.level(90), resources=1)
    counts = Fleet(short, 1).run(HOUR_S)
    assert counts.diverted_share > 0.15
    assert not counts.lost


def test_full_relays_divert_callers(spec: FleetSpec) -> None:
    full = replace(spec, relay_scaling=replace(spec.relay_scaling, maximum=2), relay=replace(spec.relay, capacity=20))
    counts = Fleet(full, 1).run(HOUR_S)
    assert counts.diverted["no_capacity"] > 0


def test_full_gateways_lose_calls(spec: FleetSpec) -> None:
    full = replace(
        spec, gateway_scaling=replace(spec.gateway_scaling, maximum=2), gateway=replace(spec.gateway, capacity=10)
    )
    counts = Fleet(full, 1).run(HOUR_S)
    assert counts.lost["media_lost"] > 0


def test_calls_of_a_dead_relay_continue_within_seconds(spec: FleetSpec) -> None:
    fleet = Fleet(spec, 1)
    counts = fleet.run(HOUR_S, lambda one: one.clock.after(100.0, one.relay_dies))
    assert len(counts.silences_s) > 10
    assert max(counts.silences_s) == pytest.approx(2.0)
    assert not counts.lost


def test_calls_of_a_dead_relay_are_lost_without_connections(spec: FleetSpec) -> None:
    """The relay has half of the calls; one resource has hardly any token left for them."""
    short = replace(spec, curve=Curve.level(70), resources=1)
    counts = Fleet(short, 1).run(HOUR_S, lambda one: one.clock.every(600.0, one.relay_dies))
    assert counts.lost["voice_lost"] > 10


def test_a_dead_node_takes_its_pods_along(spec: FleetSpec) -> None:
    fleet = Fleet(spec, 1)

    def die() -> None:
        before = len(fleet.relays.ready()) + len(fleet.gateways.ready())
        fleet.node_dies()
        assert len(fleet.relays.ready()) + len(fleet.gateways.ready()) < before

    counts = fleet.run(HOUR_S, lambda one: one.clock.after(100.0, die))
    assert counts.silences_s
    assert len(fleet.relays.ready()) >= 2, "replaced after the eviction"
    assert len(fleet.nodes.nodes) >= 3


def test_a_roll_out_hands_calls_over_and_loses_none(spec: FleetSpec) -> None:
    fleet = Fleet(spec, 1)
    counts = fleet.run(HOUR_S, lambda one: one.roll_out())
    assert counts.handed_over > 5
    assert counts.moved_sockets > 0
    assert not counts.lost
    assert counts.diverted_share < 0.001
    assert len(fleet.relays.rolled_out_s) == len(fleet.gateways.rolled_out_s) == 1


def test_hand_overs_wait_for_half_of_the_drain_time_if_new_calls_use_the_tokens(spec: FleetSpec) -> None:
    """New calls use the first resource up to 24 tokens, and a hand-over needs one below 15 on the call's own."""
    busy = replace(spec, curve=Curve.level(90), resources=4)
    fleet = Fleet(busy, 1)
    counts = fleet.run(HOUR_S, lambda one: one.roll_out())
    assert 50.0 <= max(counts.drains_s) < 100.0


def test_calls_that_are_not_handed_over_in_time_are_released(spec: FleetSpec) -> None:
    hurried = replace(spec, curve=Curve.level(90), resources=4, relay_drain=replace(spec.relay_drain, timeout_s=1.0))
    counts = Fleet(hurried, 1).run(HOUR_S, lambda one: one.roll_out())
    assert counts.released > 0


def test_the_autoscaler_follows_the_demand(spec: FleetSpec) -> None:
    growing = replace(spec, curve=Curve(((0.0, 10.0), (1800.0, 300.0), (3600.0, 10.0))), resources=8)
    fleet = Fleet(growing, 1)
    most = []
    fleet.run(2 * HOUR_S, lambda one: one.clock.after(1800.0, lambda: most.append(one.relays.replicas)))
    assert most[0] >= 8
    assert fleet.relays.replicas < 4


def test_the_demand_has_a_buffer() -> None:
    demand = Demand(buffer_calls=20, buffer_percent=10, lag_s=0.0)
    assert demand.of(50, 3) == 73
    assert demand.of(1000, 5) == 1105
