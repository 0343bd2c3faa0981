"""The plan of docs/sizing.md: its calculation from stored figures, and its tables."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from bench.alone import HANDLED
from bench.bridges import Bridge
from bench.calls import CPU
from bench.runs import NotMeasuredError, Outcome, Run
from bench.service_traffic import GATEWAY, RELAY
from tests.repo.sizing_page import (
    BEGIN,
    END,
    PAGE,
    Assumed,
    Bandwidth,
    Line,
    Measured,
    left_out,
    main,
    plan,
    tables,
    with_figures,
)

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
def test_pods_are_filled_and_one_is_spare() -> None:
    small = plan(100, MEASURED, Assumed())
    assert (small["media-gateway: calls per pod"], small["media-gateway: pods"]) == (190, 2)
    assert small["media-gateway: MB per pod"] == 99
    large = plan(10_000, MEASURED, Assumed())
    assert large["media-gateway: pods"] == 54
    assert (large["agent-relay: calls per pod"], large["agent-relay: pods"]) == (200, 51)


def test_no_pod_is_larger_than_the_largest_measurement() -> None:
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


def test_runs_that_did_not_handle_their_traffic_do_not_count(sizing_figures: dict[str, Any]) -> None:
    for run in sizing_figures["alone"]["runs"]:
        run["figures"][HANDLED] = 98.0 if run["labels"]["service"] == GATEWAY else 97.9
    with pytest.raises(NotMeasuredError, match=RELAY):
        Measured.of(sizing_figures, BANDWIDTH)


# -- the page
@pytest.fixture
def sizing_figures() -> dict[str, Any]:
    """Return all inputs of a plan. The gateway costs 30 + 3 n ms a second, the relay 60 + 2 n."""
    alone = [
        Run(
            {"service": service, "shape": "deltas", "calls": calls},
            Bridge.OURS,
            {
                CPU: (fixed + each * calls) / calls,
                "CPU of redis, ms/s/call": 0.8,
                "memory, MB": 80 + 0.1 * calls,
                "Redis in, KB/s/call": 110.0,
                "Redis out, KB/s/call": 50.0,
                HANDLED: 100.0,
            },
        )
        for service, fixed, each in ((GATEWAY, 30.0, 3.0), (RELAY, 60.0, 2.0))
        for calls in (20, 50, 100, 200)
    ]
    set_up = [
        Run({}, bridge, {"CPU of call-control, ms/call": ms}) for bridge, ms in zip(Bridge, (30.0, 0.0), strict=True)
    ]
    whole = {
        "alone": asdict(Outcome("Alone", alone, extra={"stream_mb": 3.0}, compared=False)),
        "set-up": asdict(Outcome("Set-up", set_up)),
    }
    stored: dict[str, Any] = json.loads(json.dumps(whole))
    return stored


def test_bandwidth_is_that_of_base64_and_a_little_more() -> None:
    found = Bandwidth.of_recording()
    assert found.acs_in_kb == pytest.approx(32 * 4 / 3, rel=0.25)
    assert found.acs_out_kb == pytest.approx(32 * 4 / 3, rel=0.1)
    assert found.voice_out_kb == pytest.approx(48 * 4 / 3, rel=0.05)
    assert found.voice_in_kb == pytest.approx(48 * 4 / 3, rel=0.02)


@pytest.fixture
def results(sizing_figures: dict[str, Any]) -> dict[str, Any]:
    return {"at_unix_s": 1_800_000_000, "machine": ["A CPU, 2 cores"], "options": {}, "whole": sizing_figures}


def test_figures_are_replaced_and_text_stays(results: dict[str, Any]) -> None:
    page = f"# Text\n\n{BEGIN}\nold\n{END}\n\nMore text.\n"
    once = with_figures(page, results)
    assert once.startswith("# Text\n")
    assert once.endswith(f"{END}\n\nMore text.\n")
    assert "old" not in once
    assert "| media-gateway: pods | 2 | 7 | 54 |" in once
    assert with_figures(once, results) == once


def test_without_figures_nothing_is_written(results: dict[str, Any]) -> None:
    with pytest.raises(NotMeasuredError):
        with_figures("", {**results, "whole": {}})


def test_the_page_has_a_place_for_the_figures() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(f"{BEGIN}\n") == page.count(f"{END}\n") == 1


def test_the_page_explains_every_input_and_shows_every_row(sizing_figures: dict[str, Any]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    inputs, planned, _ = tables(sizing_figures)
    assert [row[0] for row in inputs.rows if f"| {row[0]} |" not in page] == []
    assert [row[0] for row in planned.rows if f"| {row[0]} |" not in page] == []


def test_each_size_is_predicted_from_the_others() -> None:
    rows = left_out("gateway", {20: 90.0, 50: 180.0, 200: 700.0})
    assert [row[1] for row in rows] == [20, 50, 200]
    assert rows[2] == ["gateway, from 20, 50", 200, rows[2][2], 700.0, "-10.0"]
    assert rows[2][2] != 700.0


def test_one_size_alone_proves_nothing() -> None:
    assert left_out("gateway", {20: 90.0}) == []


def test_the_tables_have_every_input_and_a_column_for_each_size(sizing_figures: dict[str, Any]) -> None:
    inputs, planned, check = tables(sizing_figures)
    units = {row[0]: row[-1] for row in inputs.rows}
    assert units["gateway_cpu"] == units["relay_redis_cpu"] == "ms/s"
    assert (units["gateway_mb"], units["redis_mb_per_call"], units["control_ms_per_call"]) == ("MB", "MB", "ms")
    assert units["voice_in_kb"] == units["redis_in_kb"] == "KB/s"
    assert planned.columns[1:] == ["100", "1,000", "10,000"]
    assert {row[0]: row[1:] for row in planned.rows}["media-gateway: pods"] == ["2", "7", "54"]
    assert len(check.rows) == 4 * 4
    for table in (inputs, planned, check):
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_whole_calls_check_the_lines_of_services_alone(sizing_figures: dict[str, Any]) -> None:
    ours = {"CPU of media-gateway, ms/s/call": 4.0, "CPU of agent-relay, ms/s/call": 2.5}
    runs = [Run({"calls": 40, "shape": "deltas"}, bridge, ours) for bridge in Bridge]
    whole = sizing_figures | {"calls": {"runs": [asdict(run) for run in runs]}}
    rows = [row for row in tables(whole)[2].rows if "whole calls" in str(row[0])]
    assert [row[1] for row in rows] == [40, 40]
    assert rows[0][3] == 160.0
    assert rows[0][4] == "-6.2"


def test_the_tables_are_printed_or_written(
    results: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored, page = tmp_path / "bench.json", tmp_path / "sizing.md"
    stored.write_text(json.dumps(results))
    page.write_text(f"{BEGIN}\n{END}\n")
    assert main([], page, stored) == 0
    assert "media-gateway: pods" in capsys.readouterr().out
    assert main(["--write"], page, stored) == 0
    assert "| media-gateway: pods | 2 | 7 | 54 |" in page.read_text(encoding="utf-8")


def test_without_stored_figures_it_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], stored=tmp_path / "none.json") == 1
    assert "none.json not found" in capsys.readouterr().err
