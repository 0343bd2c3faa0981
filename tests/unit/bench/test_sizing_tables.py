from __future__ import annotations

from dataclasses import asdict

from bench.sizing_tables import left_out, tables
from tests.unit.support.alone_runs import sizing_figures
from tests.unit.support.bench_runs import made_run


def test_each_size_is_predicted_from_the_others() -> None:
    rows = left_out("gateway", {20: 90.0, 50: 180.0, 200: 700.0})
    assert [row[1] for row in rows] == [20, 50, 200]
    assert rows[2] == ["gateway, from 20, 50", 200, rows[2][2], 700.0, "-10.0"]
    assert rows[2][2] != 700.0


def test_one_size_alone_proves_nothing() -> None:
    assert left_out("gateway", {20: 90.0}) == []


def test_the_tables_hold_every_input_and_a_column_for_each_size() -> None:
    inputs, planned, check = tables(sizing_figures())
    assert {"gateway_cpu", "relay_redis_cpu", "redis_mb_per_call", "voice_in_kb"} <= {row[0] for row in inputs.rows}
    assert planned.columns[1:] == ["100", "1,000", "10,000"]
    assert {row[0]: row[1:] for row in planned.rows}["media-gateway: pods"] == ["2", "7", "54"]
    assert len(check.rows) == 4 * 4
    for table in (inputs, planned, check):
        assert all(len(row) == len(table.columns) for row in table.rows)


def test_whole_calls_check_the_lines_of_services_alone() -> None:
    whole = sizing_figures() | {"calls": {"runs": [asdict(made_run(calls=40, cpu_ms=8.0))]}}
    rows = [row for row in tables(whole)[2].rows if "whole calls" in str(row[0])]
    assert [row[1] for row in rows] == [40, 40]
    assert rows[0][3] == 160.0
    assert rows[0][4] == "-6.2"
