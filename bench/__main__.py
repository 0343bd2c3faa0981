"""Benchmarks: `python -m bench [name …]`; `python -m bench compare BEFORE AFTER`; `python -m bench --write-results`."""

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

# numpy's BLAS reads this at import. With a thread pool, the result would depend on the number of cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from bench import alone, barge_in, calls, compare, ramp, resampler, set_up, sizing_page
from bench.report import Table, describe_machine, results_page, table_of
from bench.runs import Options, Outcome
from bench.sizing import NotMeasuredError
from lab.redis_server import NoRedisError
from lab.stack import StackError
from lab.wire import WireError

MEASUREMENTS: Final[dict[str, Callable[[Options], Outcome]]] = {
    "resampler": resampler.measure,
    "calls": calls.measure,
    "barge-in": barge_in.measure,
    "set-up": set_up.measure,
    "alone": alone.measure,
    "ramp": ramp.measure,
}
SIZING: Final = "sizing"
"""This name prints the capacity plan that is calculated from the stored figures."""
COMPARE: Final = "compare"
DEFAULT: Final = ("resampler", "calls", "barge-in", "set-up", "alone")
JSON_PATH: Final = Path("out/bench.json")
RESULTS_PATH: Final = Path(__file__).with_name("RESULTS.md")


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments[:1] == [COMPARE]:
            return _compare(_compare_parser().parse_args(arguments[1:]))
        chosen = _parser().parse_args(arguments)
        if chosen.write_results:
            return _write_results(_stored(chosen.json))
        if chosen.names == [SIZING]:
            _print(sizing_page.tables(_stored(chosen.json)["whole"]))
            return 0
        return _measure(chosen)
    except (StackError, NoRedisError, WireError, NotMeasuredError, compare.CompareError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _measure(chosen: argparse.Namespace) -> int:
    options = Options(chosen.calls, chosen.seconds, chosen.runs, chosen.alone_calls, chosen.ramp_seconds)
    machine = describe_machine()
    print("\n".join(machine), "\n")
    whole: dict[str, Any] = {}
    for name in chosen.names or DEFAULT:
        print(f"{name}:", flush=True)
        outcome = MEASUREMENTS[name](options)
        whole[name] = asdict(outcome)
        _print([table_of(outcome)])
    stored = {name: value for name, value in asdict(options).items() if name != "folder"}
    results = {"at_unix_s": int(time.time()), "machine": machine, "options": stored, "whole": whole}
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"Stored in {chosen.json}.")
    return 0


def _compare(chosen: argparse.Namespace) -> int:
    before = compare.Checkout(chosen.before, dict(chosen.before_env))
    after = compare.Checkout(chosen.after, dict(chosen.after_env))
    pairs = compare.compare(before, after, chosen.pairs, chosen.names, Options(chosen.calls, chosen.seconds))
    _print([compare.table(pairs, chosen.tolerance)])
    if chosen.json:
        chosen.json.write_text(json.dumps(pairs, indent=1) + "\n", encoding="utf-8")
    return 0


def _write_results(results: dict[str, Any]) -> int:
    RESULTS_PATH.write_text(results_page(results), encoding="utf-8")
    page = sizing_page.PAGE
    page.write_text(sizing_page.with_figures(page.read_text(encoding="utf-8"), results), encoding="utf-8")
    print(f"Wrote {RESULTS_PATH} and the figures of {page}.")
    return 0


def _stored(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise NotMeasuredError(f"{path} not found: run the measurements first")
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return results


def _print(tables: list[Table]) -> None:
    for table in tables:
        print(f"\n{table.render()}\n", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    known = (*MEASUREMENTS, SIZING)
    parser.add_argument("names", nargs="*", metavar="name", choices=[*known, []], help=f"{', '.join(known)}, {COMPARE}")
    parser.add_argument("--runs", type=_positive(int), default=Options().runs, help="repetitions; default: %(default)s")
    parser.add_argument("--alone-calls", type=_positive(int), nargs="+", default=Options().alone_calls)
    parser.add_argument("--ramp-seconds", type=_positive(float), default=Options().ramp_s, help="duration of the ramp")
    parser.add_argument("--write-results", action="store_true", help="write bench/RESULTS.md from the stored JSON")
    return _with_load(parser, JSON_PATH)


def _compare_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m bench {COMPARE}", description=compare.__doc__)
    parser.add_argument("before", type=Path, help="a checkout after `make install`, preferably `make compiled`")
    parser.add_argument("after", type=Path)
    parser.add_argument("--pairs", type=_positive(int), default=5)
    parser.add_argument("--names", nargs="+", choices=[*DEFAULT], default=["calls"], help="measurements to compare")
    parser.add_argument("--tolerance", type=float, default=3.0, metavar="PERCENT", help="default: %(default)s")
    for side in ("before", "after"):
        parser.add_argument(f"--{side}-env", type=_variable, nargs="+", default=[], metavar="NAME=VALUE")
    return _with_load(parser, None)


def _with_load(parser: argparse.ArgumentParser, json_path: Path | None) -> argparse.ArgumentParser:
    calls, seconds = Options().calls, Options().seconds
    parser.add_argument(
        "--calls", type=_positive(int), nargs="+", default=calls, help="concurrent calls; default: %(default)s"
    )
    parser.add_argument(
        "--seconds", type=_positive(float), default=seconds, help="duration of a run; default: %(default)s"
    )
    parser.add_argument("--json", type=Path, default=json_path, metavar="FILE", help="default: %(default)s")
    return parser


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
        return value

    return read


def _variable(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, got {text}")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
