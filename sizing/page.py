"""The tables of docs/sizing.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench.report import Cell, Table
from sizing.cost import QUANTITIES, Prices, cost, quantities
from sizing.deployed import CONTROL, GATEWAY, RELAY, Deployed, Service
from sizing.line import Line
from sizing.measured import Check, Measured, Stored, inputs
from sizing.plan import Model, cells, plan
from sizing.rows import Result

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "sizing.md"
SIZES: Final = (10, 100, 1_000, 10_000)
PRIMARIES: Final = (1, 2, 4, 8)
TARGETS: Final = (20, 30, 40, 60, 80)
"""Calls per relay that the page compares."""
NOT_SET: Final = "price not set"
_UNITS: Final = {"cpu": "ms/s", "mb": "MB", "kb": "KB/s", "call": "ms"}


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"


def with_tables(page: str, tables: Mapping[str, str]) -> str:
    """Return the page with each text between its marks."""
    for name, text in tables.items():
        begin, end = marks(name)
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"the page has no marks for {name}")
        page = f"{before}{begin}{text}{end}{after}"
    return page


def table_of(page: str, name: str) -> str:
    begin, end = marks(name)
    return page.partition(begin)[2].partition(end)[0]


def fixed_tables(model: Model, stored: Stored) -> dict[str, str]:
    """Return the tables that need no simulation, by the names of their marks."""
    return {
        "capacities": _markdown(capacities_table(model.deployed)),
        "plan": _markdown(plan_table(model)),
        "targets": _markdown(targets_table(model)),
        "clusters": _markdown(clusters_table(model)),
        "measured": f"{stored.on}\n\n{_markdown(inputs_table(stored.measured))}",
        "check": _markdown(check_table(stored.checks)),
    }


def simulated_tables(results: Sequence[Result], model: Model, prices: Prices) -> dict[str, str]:
    return {
        "simulation": _markdown(simulation_table(results)),
        "cost": _markdown(cost_table(results, model, prices)),
    }


def capacities_table(deployed: Deployed) -> Table:
    names = (CONTROL, GATEWAY, RELAY)
    services = [deployed.services[name] for name in names]
    scaling = [deployed.scaling(name) for name in names]

    def row(name: str, values: Sequence[object]) -> list[Cell]:
        return [name, *(f"{value:g}" if isinstance(value, float) else str(value) for value in values)]

    def capacity(one: Service) -> str:
        return str(one.capacity) if one.capacity else ""

    rows = [
        row("calls per process (`GATEWAY_CAPACITY`, `RELAY_CAPACITY`)", [capacity(one) for one in services]),
        row("autoscaler: demand per pod", [one.target for one in scaling]),
        row("autoscaler: pods", [f"{one.minimum}–{one.maximum}" for one in scaling]),
        row("request: CPU, millicores", [one.cpu_m for one in services]),
        row("request: memory, MB", [round(one.memory_mb) for one in services]),
        row("`minReadySeconds`", [one.min_ready_s for one in services]),
        row("`DRAIN_TIMEOUT_S`", [one.drain_s for one in services]),
    ]
    note = (
        f"Buffer of the demand: the larger of `SCALE_BUFFER_CALLS` ({deployed.buffer_calls}) and "
        f"`SCALE_BUFFER_PERCENT` ({deployed.buffer_percent} % of the calls)."
    )
    return Table("Capacities", ["", *names], rows, (note,))


def plan_table(model: Model) -> Table:
    plans = [plan(model, calls) for calls in SIZES]
    rows: list[list[Cell]] = [[name, *(_text(one[name]) for one in plans)] for name in plans[0]]
    assumed = model.assumed
    note = (
        f"A call lasts {assumed.mean_call_s:.0f} s on average, the agent talks {assumed.agent_talks:.0%} of it.\n"
        f"A cell carries at most {model.cell_calls()} calls: {assumed.busy:.0%} of a core of its Redis."
    )
    return Table("Plan", ["concurrent calls", *(f"{calls:,}" for calls in SIZES)], rows, (note,))


def targets_table(model: Model) -> Table:
    """Compare numbers of calls per relay, for 1,000 calls."""
    rows: list[list[Cell]] = []
    relay = model.deployed.services[RELAY]
    for target in TARGETS:
        scaling = {name: replace(one, target=float(target)) for name, one in relay.scaling.items()}
        services = {**model.deployed.services, RELAY: replace(relay, scaling=scaling)}
        other = replace(model, deployed=replace(model.deployed, services=services))
        number, each = cells(other, 1_000)
        found = plan(other, 1_000)
        names = ("agent-relay: pods", "Voice Live: resources")
        small = plan(other, 100)
        rows.append([target, number, each, *(found[name] for name in names), *(small[name] for name in names)])
    columns = [
        "calls per relay",
        "cells",
        "calls of each",
        "relays",
        "resources",
        "100 calls: relays",
        "100 calls: resources",
    ]
    return Table("Targets", columns, rows)


def clusters_table(model: Model) -> Table:
    calls: list[Cell] = ["calls", *(model.cell_calls(primaries) for primaries in PRIMARIES)]
    return Table("Clusters", ["primaries", *map(str, PRIMARIES)], [calls])


def simulation_table(results: Sequence[Result]) -> Table:
    rows: list[list[Cell]] = []
    for one in results:
        counts = one.counts
        rows.append(
            [
                one.row.name,
                one.cells,
                f"{counts.offered:,}",
                f"{counts.diverted_share:.3%}".replace("%", " %"),
                counts.lost.total(),
                f"{one.longest_silence_s:.1f}" if counts.silences_s else "",
                f"{one.relays}, {one.relays_draining}",
                f"{one.gateways}, {one.gateways_draining}",
                counts.handed_over,
                counts.moved_sockets,
                "missed: " + ", ".join(one.mistakes) if one.mistakes else "met",
            ]
        )
    columns = [
        "",
        "cells",
        "calls",
        "diverted",
        "lost",
        "silence, s",
        "relays, draining",
        "gateways, draining",
        "handed over",
        "sockets moved",
        "goal",
    ]
    return Table("Simulation", columns, rows)


def cost_table(results: Sequence[Result], model: Model, prices: Prices) -> Table:
    """Return quantities and cost of 1,000 calls, for the rows without failures."""
    chosen = [one for one in results if one.row.events is None and one.row.autoscaler != "hpa" and not one.row.cells]
    found = [quantities(one, model) for one in chosen]
    rows: list[list[Cell]] = []
    for name in QUANTITIES:
        price = prices.prices[name]
        set_text = NOT_SET if price.price is None else f"{price.price:g} {prices.currency} ({price.date})"
        rows.append([f"`{name}`: {price.what}", set_text, *(f"{1000 * one[name]:.2f}" for one in found)])
    totals: list[Cell] = []
    for one in found:
        costs = [cost(one[name], prices.prices[name]) for name in QUANTITIES]
        totals.append(NOT_SET if None in costs else f"{1000 * sum(value for value in costs if value):.2f}")
    rows.append([f"sum, {prices.currency}", "", *totals])
    return Table("Cost", ["of 1,000 calls", "price", *(one.row.name for one in chosen)], rows)


def inputs_table(measured: Measured) -> Table:
    rows: list[list[Cell]] = []
    for name, value in inputs(measured):
        unit = "MB" if name == "redis_mb_per_call" else _UNITS[name.rsplit("_", 1)[1]]
        pair = (f"{value.fixed:.1f}", f"{value.each:.3f}") if isinstance(value, Line) else ("", f"{value:.2f}")
        rows.append([name, *pair, unit])
    return Table("Measured inputs", ["", "per process", "per call", "unit"], rows)


def check_table(checks: Sequence[Check]) -> Table:
    rows: list[list[Cell]] = [
        [one.name, one.calls, one.predicted, one.measured, f"{100 * (one.predicted / one.measured - 1):+.1f}"]
        for one in checks
    ]
    return Table("Predicted and measured", ["", "calls", "predicted, ms/s", "measured, ms/s", "error, %"], rows)


def _markdown(table: Table) -> str:
    """Return the table and its notes, without its title, which the page has."""
    return table.markdown().partition("\n\n")[2]


def _text(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
