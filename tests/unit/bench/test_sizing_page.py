from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from bench.bridges import Bridge
from bench.runs import Run
from bench.sizing import NotMeasuredError
from bench.sizing_page import BEGIN, END, PAGE, left_out, tables, with_figures


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


def test_the_tables_hold_every_input_and_a_column_for_each_size(sizing_figures: dict[str, Any]) -> None:
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


def test_whole_calls_check_the_lines_of_services_alone(
    sizing_figures: dict[str, Any], call_run: Callable[..., Run]
) -> None:
    whole = sizing_figures | {"calls": {"runs": [asdict(call_run(bridge, cpu_ms=8.0)) for bridge in Bridge]}}
    rows = [row for row in tables(whole)[2].rows if "whole calls" in str(row[0])]
    assert [row[1] for row in rows] == [40, 40]
    assert rows[0][3] == 160.0
    assert rows[0][4] == "-6.2"
