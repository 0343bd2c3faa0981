"""The tables of docs/sizing.md: inputs, plan and check. Its text is written by hand around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from bench.bridges import Bridge
from bench.recorded import Bandwidth
from bench.report import Cell, Table, measured_on
from bench.service_traffic import GATEWAY, RELAY
from bench.sizing import SHAPE, Assumed, Line, Measured, Stored, line, plan, points, totals

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "sizing.md"
BEGIN: Final = "<!-- figures -->"
END: Final = "<!-- end of figures -->"
SIZES: Final = (100, 1_000, 10_000)
_UNITS: Final = {"cpu": "ms/s", "mb": "MB", "kb": "KB/s", "call": "ms"}


def tables(whole: Stored, assumed: Assumed | None = None) -> list[Table]:
    """Raises `NotMeasuredError`."""
    measured = Measured.of(whole, Bandwidth.of_recording())
    return [inputs_table(measured), plan_table(measured, assumed or Assumed()), check_table(whole)]


def with_figures(page: str, results: Mapping[str, Any]) -> str:
    """The page with the tables of these results between its marks. Raises `NotMeasuredError`."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    found = [measured_on(results), *(table.markdown() for table in tables(results["whole"]))]
    return before + "\n".join([BEGIN, *found, END]) + after


def inputs_table(measured: Measured) -> Table:
    values = [(one.name, getattr(measured, one.name)) for one in fields(measured) if one.name != "bandwidth"]
    values += [(one.name, getattr(measured.bandwidth, one.name)) for one in fields(measured.bandwidth)]
    rows: list[list[Cell]] = []
    for name, value in values:
        unit = "MB" if name == "redis_mb_per_call" else _UNITS[name.rsplit("_", 1)[1]]
        pair = (f"{value.fixed:.1f}", f"{value.each:.3f}") if isinstance(value, Line) else ("", f"{value:.2f}")
        rows.append([name, *pair, unit])
    return Table("Measured inputs", ["", "per process", "per call", "unit"], rows)


def plan_table(measured: Measured, assumed: Assumed) -> Table:
    plans = [plan(calls, measured, assumed) for calls in SIZES]
    rows: list[list[Cell]] = [[name, *(_text(one[name]) for one in plans)] for name in plans[0]]
    note = (
        f"A call lasts {assumed.mean_call_s:.0f} s on average, the agent talks {assumed.agent_talks:.0%} of it. Target "
        f"utilization {assumed.busy:.0%}, {assumed.spare_pods} spare pod per service, {assumed.replicas} Redis replica."
    )
    return Table("Plan", ["concurrent calls", *(f"{calls:,}" for calls in SIZES)], rows, (note,))


def _text(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def check_table(whole: Stored) -> Table:
    """Each size is predicted from the others; whole calls are predicted by the lines of the services alone."""
    rows: list[list[Cell]] = []
    for service in (GATEWAY, RELAY):
        alone = points(whole, service)
        rows += left_out(f"{service} alone: {service}", totals(alone, "CPU, ms/s/call"))
        rows += left_out(f"{service} alone: redis", totals(alone, "CPU of redis, ms/s/call"))
        for run in whole.get("calls", {}).get("runs", []):
            labels, name = run["labels"], f"CPU of {service}, ms/s/call"
            if run["bridge"] == Bridge.OURS and labels["shape"] == SHAPE:
                calls = labels["calls"]
                predicted = line(alone, "CPU, ms/s/call").at(calls)
                rows.append(_checked(f"{service} in whole calls", calls, predicted, run["figures"][name] * calls))
    return Table("Predicted and measured", ["", "calls", "predicted, ms/s", "measured, ms/s", "error, %"], rows)


def left_out(name: str, found: Mapping[int, float]) -> list[list[Cell]]:
    """A row for each size, predicted by the line through all others."""
    rows = []
    for calls, ms in found.items():
        others = {size: value for size, value in found.items() if size != calls}
        if others:
            label = f"{name}, from {', '.join(map(str, others))}"
            rows.append(_checked(label, calls, Line.through(others).at(calls), ms))
    return rows


def _checked(name: str, calls: int, predicted: float, measured: float) -> list[Cell]:
    return [name, calls, predicted, measured, f"{100 * (predicted / measured - 1):+.1f}"]
