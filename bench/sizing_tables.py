"""The tables of docs/sizing.md, from the JSON that `python -m bench` stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Final

from bench.alone_driver import GATEWAY, RELAY
from bench.sizing import SHAPE, SIZES, Assumed, Figures, Line, Measured, Plan, cpu_points, plan
from bench.table import Cell, Table
from bench.wire_sizes import WireSizes

_PROCESSES: Final = ((GATEWAY, GATEWAY), (GATEWAY, "redis"), (RELAY, RELAY), (RELAY, "redis"))


def tables(whole: Figures, assumed: Assumed | None = None) -> list[Table]:
    """Raises `NotMeasuredError`."""
    assumed = assumed or Assumed()
    measured = Measured.of(whole, WireSizes.of_recording())
    plans = [plan(calls, measured, assumed) for calls in SIZES]
    return [inputs_table(measured), plan_table(plans, assumed), check_table(whole)]


def inputs_table(measured: Measured) -> Table:
    lines: tuple[tuple[str, Line, str], ...] = (
        ("gateway_cpu", measured.gateway_cpu, "ms/s"),
        ("relay_cpu", measured.relay_cpu, "ms/s"),
        ("gateway_redis_cpu", measured.gateway_redis_cpu, "ms/s"),
        ("relay_redis_cpu", measured.relay_redis_cpu, "ms/s"),
        ("gateway_mb", measured.gateway_mb, "MB"),
        ("relay_mb", measured.relay_mb, "MB"),
    )
    wire = measured.wire
    single: tuple[tuple[str, float, str], ...] = (
        ("control_ms_per_call", measured.control_ms_per_call, "ms"),
        ("redis_mb_per_call", measured.redis_mb_per_call, "MB"),
        ("redis_in_kb", measured.redis_in_kb, "KB/s"),
        ("redis_out_kb", measured.redis_out_kb, "KB/s"),
        ("acs_in_kb", wire.acs_in_kb, "KB/s"),
        ("acs_out_kb", wire.acs_out_kb, "KB/s"),
        ("voice_out_kb", wire.voice_out_kb, "KB/s"),
        ("voice_in_kb", wire.voice_in_kb, "KB/s"),
    )
    rows: list[list[Cell]] = [[name, f"{line.fixed_ms:.1f}", f"{line.each_ms:.3f}", unit] for name, line, unit in lines]
    rows += [[name, "", f"{value:.2f}", unit] for name, value, unit in single]
    return Table("Measured inputs", ["", "of a process", "of each call", "unit"], rows)


Row = tuple[str, Callable[[Plan], str]]

_ROWS: Final[tuple[Row, ...]] = (
    ("new calls a minute", lambda p: f"{p.arrivals_per_min:.0f}"),
    ("call-control: pods", lambda p: f"{p.control_pods}"),
    ("media-gateway: pods", lambda p: f"{p.gateway.pods}"),
    ("media-gateway: calls a pod", lambda p: f"{p.gateway.calls_each}"),
    ("media-gateway: MB a pod", lambda p: f"{p.gateway.mb_each:.0f}"),
    ("agent-relay: pods", lambda p: f"{p.relay.pods}"),
    ("agent-relay: calls a pod", lambda p: f"{p.relay.calls_each}"),
    ("agent-relay: MB a pod", lambda p: f"{p.relay.mb_each:.0f}"),
    ("Redis: primaries", lambda p: f"{p.redis_servers}"),
    ("Redis: MB, all primaries", lambda p: f"{p.redis_mb:,.0f}"),
    ("Redis: MB/s in", lambda p: f"{p.redis_in_mb_s:.1f}"),
    ("Redis: MB/s out", lambda p: f"{p.redis_out_mb_s:.1f}"),
    ("Redis: MB/s to replicas", lambda p: f"{p.replication_mb_s:.1f}"),
    ("ACS media: MB/s in", lambda p: f"{p.acs_in_mb_s:.1f}"),
    ("ACS media: MB/s out", lambda p: f"{p.acs_out_mb_s:.1f}"),
    ("Voice Live: MB/s out", lambda p: f"{p.voice_out_mb_s:.1f}"),
    ("Voice Live: MB/s in", lambda p: f"{p.voice_in_mb_s:.1f}"),
    ("Voice Live: resources for new connections", lambda p: f"{p.resources_by_connections}"),
    ("Voice Live: resources for tokens", lambda p: f"{p.resources_by_tokens}"),
    ("minutes until a dead relay's calls talk again", lambda p: f"{p.dead_relay_min:.1f}"),
)


def plan_table(plans: Sequence[Plan], assumed: Assumed) -> Table:
    rows: list[list[Cell]] = [[name, *(tell(one) for one in plans)] for name, tell in _ROWS]
    note = (
        f"A call lasts {assumed.mean_call_s:.0f} s in the mean, the agent talks {assumed.agent_talks:.0%} of it. "
        f"A core is {assumed.busy:.0%} busy, {assumed.spare_pods} pod of each service to spare, {assumed.replicas} "
        "replica of each Redis."
    )
    return Table("Plan", ["calls at once", *(f"{one.calls:,}" for one in plans)], rows, (note,))


def check_table(whole: Figures) -> Table:
    """Each size is predicted from the others: the model has not seen what it is compared with."""
    runs: Sequence[Mapping[str, Any]] = whole["alone"]["runs"]
    rows: list[list[Cell]] = []
    for service, process in _PROCESSES:
        rows += left_out(f"{service} alone: {process}", cpu_points(runs, service, process))
    whole_runs = [run for run in whole.get("calls", {}).get("runs", []) if run["bridge"] == "ours"]
    for service in (GATEWAY, RELAY):
        line = Line.through(cpu_points(runs, service, service))
        for calls, ms in whole_points(whole_runs, service).items():
            rows.append(_checked(f"{service} in whole calls, by the line of it alone", calls, line.ms(calls), ms))
    columns = ["", "calls", "predicted, ms/s", "measured, ms/s", "error, %"]
    return Table("The model against what it has not seen", columns, rows)


def left_out(name: str, found: Mapping[int, float]) -> list[list[Cell]]:
    """One row for each size, predicted by the line through all others."""
    rows = []
    for calls, ms in found.items():
        others = {size: value for size, value in found.items() if size != calls}
        if others:
            rows.append(
                _checked(f"{name}, from {', '.join(map(str, others))}", calls, Line.through(others).ms(calls), ms)
            )
    return rows


def whole_points(runs: Sequence[Figures], service: str) -> dict[int, float]:
    found: dict[int, list[float]] = {}
    for run in runs:
        if run["shape"] == SHAPE:
            found.setdefault(run["calls"], []).append(run["cpu_ms"][service] * run["calls"])
    return {calls: median(values) for calls, values in sorted(found.items())}


def _checked(name: str, calls: int, predicted: float, measured: float) -> list[Cell]:
    return [name, calls, predicted, measured, f"{100 * (predicted / measured - 1):+.1f}"]
