"""bench/RESULTS.md: the tables of one measurement, from its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bench.limits import table as limits_table
from bench.machine import describe
from bench.table import Table, cell_text

_HEAD = """# Results

Written by `python -m bench --write-results` from the JSON of one run; not edited by hand.

Repeat it with `make bench` and then `.venv/bin/python -m bench --write-results`. The whole takes about a quarter of an
hour and wants a machine that does nothing else; where the machine's host gives much of it to others, what was measured
meanwhile is measured again, and it takes up to three times as long. Where the host slows the cores for moments at a
time, what began in them does not count, and what a figure is of all time stands beside it (ADR 22).
`.venv/bin/python -m bench --help` names the parts and their options; `--quick` shows in a few minutes that everything
runs, and its figures say nothing.

The reference bridge (`bench/reference_bridge.py`) is the plainest single-process bridge: no Redis, no resampling, no
failover. It runs in the same run, between the same simulators, in turns with our services.
"""


def markdown(results: Mapping[str, Any]) -> str:
    at = datetime.fromtimestamp(results["at_unix_s"], UTC)
    lines = [_HEAD, f"Measured {at:%Y-%m-%d %H:%M} UTC", ""]
    lines += [f"- {fact}" for fact in describe(results["machine"])]
    lines += [f"- options: {', '.join(f'{name} {value}' for name, value in results['options'].items())}", ""]
    limits = limits_table(results["whole"])
    lines += section(limits) if limits is not None else []
    for tables in results["tables"].values():
        for stored in tables:
            lines += section(Table(**stored))
    return "\n".join(lines).rstrip() + "\n"


def section(table: Table) -> list[str]:
    rule = ["---", *("--:" for _ in table.columns[1:])]
    rows: list[Sequence[str]] = [table.columns, rule, *([cell_text(cell) for cell in row] for row in table.rows)]
    return [
        f"## {table.title}",
        "",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        *(line for note in table.notes for line in (note, "")),
    ]
