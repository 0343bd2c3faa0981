"""Capacity planning: `python -m sizing` prints the tables of docs/sizing.md.

python -m sizing              # prints them
python -m sizing --write      # writes them into docs/sizing.md
python -m sizing --measured   # first reads the newest figures of `python -m bench` (out/bench.json)
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.runs import JSON_PATH, NotMeasuredError, read_results
from sizing import deployed, measured
from sizing.cost import PRICES, PriceError, load_prices
from sizing.page import PAGE, fixed_tables, simulated_tables, with_tables
from sizing.plan import Assumed, Model
from sizing.rows import Result, Row, rows, simulate


def main(
    arguments: list[str] | None = None,
    *,
    page: Path = PAGE,
    stored: Path = measured.STORED,
    results: Path = JSON_PATH,
    prices: Path = PRICES,
    simulated: list[Row] | None = None,
) -> int:
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.measured:
            measured.save(measured.of_results(read_results(results)), stored)
        inputs = measured.load(stored)
        model = Model(inputs.measured, deployed.read(), Assumed())
        listed = load_prices(prices)
    except (NotMeasuredError, PriceError, deployed.ManifestError) as error:
        print(f"sizing: {error}", file=sys.stderr)
        return 1
    found: list[Result] = []
    for row in rows() if simulated is None else simulated:
        print(f"simulating: {row.name}", file=sys.stderr, flush=True)
        found.append(simulate(model, row))
    tables = fixed_tables(model, inputs) | simulated_tables(found, model, listed)
    if chosen.write:
        page.write_text(with_tables(page.read_text(encoding="utf-8"), tables), encoding="utf-8")
    else:
        print("\n".join(f"{name}:\n\n{text}" for name, text in tables.items()))
    missed = [f"{one.row.name}: {', '.join(one.mistakes)}" for one in found if one.mistakes]
    for one in missed:
        print(f"sizing: goal missed: {one}", file=sys.stderr)
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sizing", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the tables into docs/sizing.md")
    parser.add_argument("--measured", action="store_true", help="read the newest figures of `python -m bench` first")
    return parser


if __name__ == "__main__":
    sys.exit(main())
