from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bench.alone import HANDLED
from bench.recorded import Bandwidth
from bench.service_traffic import GATEWAY, RELAY
from bench.sizing import Assumed, Line, Measured, NotMeasuredError, plan

BANDWIDTH = Bandwidth(acs_in_kb=53.0, acs_out_kb=46.0, voice_out_kb=67.0, voice_in_kb=65.0)
MEASURED = Measured(
    gateway_cpu=Line(30.0, 3.0),
    relay_cpu=Line(60.0, 2.0),
    gateway_redis_cpu=Line(0.0, 0.5),
    relay_redis_cpu=Line(0.0, 0.7),
    gateway_mb=Line(80.0, 0.1),
    relay_mb=Line(75.0, 0.1),
    control_ms_per_call=30.0,
    redis_mb_per_call=3.0,
    redis_in_kb=110.0,
    redis_out_kb=100.0,
    bandwidth=BANDWIDTH,
)


# -- the line
def test_a_line_through_points_of_a_line_is_that_line() -> None:
    line = Line.through({20: 90.0, 50: 180.0, 200: 630.0})
    assert line.fixed == pytest.approx(30.0)
    assert line.each == pytest.approx(3.0)


def test_a_line_is_near_to_every_size_alike() -> None:
    line = Line.through({20: 80.0, 200: 600.0, 100: 340.0})
    assert abs(line.at(20) / 80.0 - 1) < 0.05


@pytest.mark.parametrize("points", [{20: 60.0}, {20: 60.0, 200: 700.0}])
def test_no_line_begins_below_nothing(points: dict[int, float]) -> None:
    line = Line.through(points)
    assert line.fixed == 0.0
    assert 3.0 <= line.each <= 3.5


def test_calls_within_a_budget() -> None:
    assert Line(30.0, 3.0).calls_within(600.0) == 190
    assert Line(700.0, 3.0).calls_within(600.0) == 0


# -- the plan
def test_pods_carry_what_fits_and_one_is_spare() -> None:
    small = plan(100, MEASURED, Assumed())
    assert (small["media-gateway: calls per pod"], small["media-gateway: pods"]) == (190, 2)
    assert small["media-gateway: MB per pod"] == 99
    large = plan(10_000, MEASURED, Assumed())
    assert large["media-gateway: pods"] == 54
    assert (large["agent-relay: calls per pod"], large["agent-relay: pods"]) == (200, 51)


def test_nothing_is_planned_beyond_what_was_measured() -> None:
    cheap = replace(MEASURED, relay_cpu=Line(0.0, 0.1))
    assert plan(1000, cheap, Assumed())["agent-relay: calls per pod"] == 200


def test_arrivals_follow_littles_law() -> None:
    found = plan(1000, MEASURED, Assumed(mean_call_s=120.0))
    assert found["new calls a minute"] == 500
    assert found["Voice Live: resources for new connections"] == 17
    assert found["call-control: pods"] == 1 + 1
    assert plan(10_000, MEASURED, Assumed(mean_call_s=10.0))["call-control: pods"] == 50 + 1


def test_tokens_count_while_somebody_talks() -> None:
    assert plan(1000, MEASURED, Assumed(agent_talks=0.5))["Voice Live: resources for tokens"] == 10
    assert plan(1000, MEASURED, Assumed(agent_talks=0.0))["Voice Live: resources for tokens"] == 5


def test_a_dead_relays_calls_come_back_by_the_quota_that_is_left() -> None:
    minutes = "minutes until the calls of a dead relay have a session again"
    found = plan(100, MEASURED, Assumed(mean_call_s=300.0))
    assert found["Voice Live: resources for new connections"] == 1
    assert found[minutes] == pytest.approx(100 / (30 - 20))
    assert plan(90, MEASURED, Assumed(mean_call_s=180.0, tokens_per_min=10**9))[minutes] == float("inf")


def test_redis_and_networks_grow_with_the_calls() -> None:
    found = plan(1000, MEASURED, Assumed(agent_talks=0.5, replicas=2))
    assert found["Redis: primaries"] == 2
    assert found["Redis: MB, all primaries"] == 3000
    assert found["Redis: MB/s in"] == pytest.approx(110.0)
    assert found["Redis: MB/s out"] == pytest.approx(100.0)
    assert found["Redis: MB/s to replicas"] == pytest.approx(220.0)
    assert found["ACS media: MB/s in"] == pytest.approx(53.0)
    assert found["ACS media: MB/s out"] == pytest.approx(23.0)
    assert found["Voice Live: MB/s out"] == pytest.approx(67.0)
    assert found["Voice Live: MB/s in"] == pytest.approx(32.5)


# -- reading what was measured
def test_the_inputs_come_from_the_stored_figures(sizing_figures: dict[str, Any]) -> None:
    found = Measured.of(sizing_figures, BANDWIDTH)
    assert found.gateway_cpu.at(40) == pytest.approx(150.0, rel=0.01)
    assert found.relay_cpu.at(40) == pytest.approx(140.0, rel=0.01)
    assert found.gateway_mb.at(100) == pytest.approx(90.0)
    assert (found.control_ms_per_call, found.redis_mb_per_call) == (30.0, 3.0)
    assert (found.redis_in_kb, found.redis_out_kb) == (110.0, 100.0)


@pytest.mark.parametrize("name", ["alone", "set-up"])
def test_a_missing_measurement_is_named(name: str, sizing_figures: dict[str, Any]) -> None:
    del sizing_figures[name]
    with pytest.raises(NotMeasuredError, match=f"bench {name}"):
        Measured.of(sizing_figures, BANDWIDTH)


def test_runs_that_did_not_keep_up_do_not_count(sizing_figures: dict[str, Any]) -> None:
    for run in sizing_figures["alone"]["runs"]:
        run["figures"][HANDLED] = 98.0 if run["labels"]["service"] == GATEWAY else 97.9
    with pytest.raises(NotMeasuredError, match=RELAY):
        Measured.of(sizing_figures, BANDWIDTH)
