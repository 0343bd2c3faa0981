"""Runs the measurements that are named, or all but the ramp; or writes bench/RESULTS.md from what they stored."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

# numpy's BLAS reads this when it is loaded: a thread pool would measure the machine, not the code.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from bench import (
    alone,
    arrivals,
    barge_in,
    calls,
    frame_codecs,
    interference,
    limits,
    playout,
    ramp,
    resampler,
    set_up,
    sockets,
    streams,
    tracing,
)
from bench.machine import describe, machine
from bench.results import markdown
from bench.sizing import NotMeasuredError
from bench.sizing_page import PAGE_PATH, with_figures
from bench.sizing_tables import tables as sizing_tables
from bench.table import Bench
from bench.whole import Measurement, Options
from lab.redis_server import NoRedisError
from lab.stack import StackError
from lab.wire import WireError

BENCHES: Final[dict[str, Bench]] = {
    "resampler": resampler.measure,
    "codecs": frame_codecs.measure,
    "playout": playout.measure,
    "streams": streams.measure,
    "sockets": sockets.measure,
}
"""Parts of the code, each by itself."""
WHOLE: Final[dict[str, Measurement]] = {
    "calls": calls.measure,
    "barge-in": barge_in.measure,
    "answer": set_up.measure_answer,
    "greeting": set_up.measure_greeting,
    "alone": alone.measure,
    "arrivals": arrivals.measure,
    "tracing": tracing.measure,
    "ramp": ramp.measure,
}
"""The whole system, as processes, between the simulators."""
SIZING: Final = "sizing"
"""No measurement: the plan that follows from the stored figures."""
ON_REQUEST: Final = frozenset({"ramp"})
JSON_PATH: Final = Path("out/bench.json")
RESULTS_PATH: Final = Path(__file__).with_name("RESULTS.md")
QUICK: Final = Options(calls=(10,), seconds=5.0, runs=1, ramp_s=40.0, alone_calls=(20,))


def main() -> int:
    chosen = _parser().parse_args()
    if chosen.write_results:
        return _write_results(chosen.json)
    if chosen.names == [SIZING]:
        return _print_sizing(chosen.json)
    names = chosen.names or [name for name in (*BENCHES, *WHOLE) if name not in ON_REQUEST]
    if chosen.ramp and "ramp" not in names:
        names.append("ramp")
    options = QUICK if chosen.quick else Options(tuple(chosen.calls), chosen.seconds, chosen.runs)
    facts = machine()
    print("\n".join(describe(facts)), "\n")
    tables: dict[str, object] = {}
    figures: dict[str, object] = {}
    others: dict[str, interference.Interference] = {}
    for name in names:
        watch = interference.Watch()
        try:
            stored = _run(name, options, chosen.repeats, figures)
        except (StackError, NoRedisError, WireError) as error:
            print(f"{name} could not be measured: {error}", file=sys.stderr)
            return 1
        tables[name] = stored
        others[name] = watch.interference()
    tables["interference"] = [interference.table(others).as_dict()]
    print(interference.table(others).render(), "\n")
    kept = limits.table(figures)
    if kept is not None:
        print(kept.render(), "\n")
    facts["load_average_after"] = [round(value, 2) for value in os.getloadavg()]
    told = {key: value for key, value in asdict(options).items() if key != "folder"} | {"repeats": chosen.repeats}
    results = {"at_unix_s": int(time.time()), "machine": facts, "options": told, "tables": tables, "whole": figures}
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"Stored in {chosen.json}.")
    return 0


def _run(name: str, options: Options, repeats: int, figures: dict[str, object]) -> list[dict[str, object]]:
    """Measure, print, and hand back the tables for storing."""
    if name in BENCHES:
        tables = BENCHES[name](repeats)
    else:
        print(f"{name}:", flush=True)
        outcome = WHOLE[name](options)
        tables, figures[name] = outcome.tables, outcome.figures
        print()
    for table in tables:
        print(table.render(), "\n", flush=True)
    return [table.as_dict() for table in tables]


def _write_results(json_path: Path) -> int:
    results = _stored(json_path)
    if results is None:
        return 1
    RESULTS_PATH.write_text(markdown(results), encoding="utf-8")
    print(f"Wrote {RESULTS_PATH}.")
    try:
        page = with_figures(PAGE_PATH.read_text(encoding="utf-8"), results)
    except NotMeasuredError as error:
        print(f"{PAGE_PATH} stays as it is: {error}")
        return 0
    PAGE_PATH.write_text(page, encoding="utf-8")
    print(f"Wrote the figures of {PAGE_PATH}.")
    return 0


def _print_sizing(json_path: Path) -> int:
    results = _stored(json_path)
    if results is None:
        return 1
    try:
        plans = sizing_tables(results["whole"])
    except NotMeasuredError as error:
        print(error, file=sys.stderr)
        return 1
    for table in plans:
        print(table.render(), "\n")
    return 0


def _stored(json_path: Path) -> dict[str, Any] | None:
    try:
        results: dict[str, Any] = json.loads(json_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        print(f"There is no {json_path}: measure first.", file=sys.stderr)
        return None
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    known = (*BENCHES, *WHOLE, SIZING)
    parser.add_argument("names", nargs="*", metavar="name", choices=[*known, []], help=f"of {', '.join(known)}")
    parser.add_argument("--json", type=Path, default=JSON_PATH, metavar="FILE", help=f"default: {JSON_PATH}")
    parser.add_argument("--repeats", type=int, default=7, help="how often each timing of a part is repeated")
    parser.add_argument("--calls", type=_positive(int), nargs="+", default=[20, 40], help="calls at once")
    parser.add_argument("--seconds", type=_positive(float), default=10.0, help="of each run of the whole system")
    parser.add_argument("--runs", type=_positive(int), default=3, help="of the whole system; medians count")
    parser.add_argument("--ramp", action="store_true", help="also find out how many calls this machine carries")
    parser.add_argument("--quick", action="store_true", help="10 calls, 5 seconds, once: to see that everything runs")
    parser.add_argument("--write-results", action="store_true", help="write bench/RESULTS.md from the stored JSON")
    return parser


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    return read


if __name__ == "__main__":
    sys.exit(main())
