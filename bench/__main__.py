"""Benchmarks: `python -m bench [name …]`; `python -m bench compare BEFORE AFTER`; `python -m bench --write-results`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

# numpy's BLAS reads this at import. With a thread pool, the result would depend on the number of cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from bench import alone, barge_in, calls, compare, ramp, resampler, set_up
from bench.report import describe_machine, results_page, table_of
from bench.runs import JSON_PATH, NotMeasuredError, Options, Outcome, read_results
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
DEFAULT: Final = tuple(name for name in MEASUREMENTS if name != "ramp")
COMPARE: Final = "compare"
RESULTS_PATH: Final = Path(__file__).with_name("RESULTS.md")


def main(
    arguments: list[str] | None = None,
    *,
    measurements: Mapping[str, Callable[[Options], Outcome]] = MEASUREMENTS,
    compare_checkouts: Callable[..., list[tuple[compare.Compared, compare.Compared]]] = compare.compare,
    page: Path = RESULTS_PATH,
) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments[:1] == [COMPARE]:
            chosen = _compare_parser().parse_args(arguments[1:])
            sides = [
                compare.Checkout(folder, dict(environment))
                for folder, environment in ((chosen.before, chosen.before_env), (chosen.after, chosen.after_env))
            ]
            pairs = compare_checkouts(*sides, chosen.pairs, chosen.names, Options(chosen.calls, chosen.seconds))
            print(f"\n{compare.table(pairs, chosen.tolerance).render()}\n", flush=True)
            if chosen.json:
                chosen.json.write_text(json.dumps(pairs, indent=1) + "\n", encoding="utf-8")
            return 0
        chosen = _parser().parse_args(arguments)
        if chosen.write_results:
            page.write_text(results_page(read_results(chosen.json)), encoding="utf-8")
            print(f"Wrote {page}.")
        else:
            _measure(chosen, measurements)
        return 0
    except (StackError, NoRedisError, WireError, NotMeasuredError, compare.CompareError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _measure(chosen: argparse.Namespace, measurements: Mapping[str, Callable[[Options], Outcome]]) -> None:
    options = Options(chosen.calls, chosen.seconds, chosen.runs, chosen.alone_calls, chosen.ramp_seconds)
    machine = describe_machine()
    print("\n".join(machine), "\n")
    whole: dict[str, Any] = {}
    for name in chosen.names or DEFAULT:
        print(f"{name}:", flush=True)
        outcome = measurements[name](options)
        whole[name] = asdict(outcome)
        print(f"\n{table_of(outcome).render()}\n", flush=True)
    stored = {name: value for name, value in asdict(options).items() if name != "folder"}
    results = {"at_unix_s": int(time.time()), "machine": machine, "options": stored, "whole": whole}
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"Stored in {chosen.json}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = ", ".join((*MEASUREMENTS, COMPARE))
    parser.add_argument("names", nargs="*", metavar="name", choices=[*MEASUREMENTS, []], help=names)
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
    parser.add_argument("--names", nargs="+", choices=DEFAULT, default=["calls"], help="measurements to compare")
    parser.add_argument("--tolerance", type=float, default=3.0, metavar="PERCENT", help="default: %(default)s")
    for side in ("before", "after"):
        parser.add_argument(f"--{side}-env", type=_variable, nargs="+", default=[], metavar="NAME=VALUE")
    return _with_load(parser, None)


def _with_load(parser: argparse.ArgumentParser, json_path: Path | None) -> argparse.ArgumentParser:
    parser.add_argument("--calls", type=_positive(int), nargs="+", default=Options().calls, help="concurrent calls")
    parser.add_argument("--seconds", type=_positive(float), default=Options().seconds, help="duration of a run")
    parser.add_argument("--json", type=Path, default=json_path, metavar="FILE", help="default: %(default)s")
    return parser


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        if (value := kind(text)) <= 0:
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
