"""Runs the measurements named on the command line, or all."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Final

# numpy's BLAS reads this when it is loaded: a thread pool would measure the machine, not the code.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from bench import frame_codecs, resampler
from bench.table import Bench

BENCHES: Final[dict[str, Bench]] = {
    "resampler": resampler.measure,
    "codecs": frame_codecs.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of: {', '.join(BENCHES)}; default: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables there as well")
    parser.add_argument("--repeats", type=int, default=7, help="how often each timing is repeated; the best counts")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.names if name not in BENCHES]
    if unknown:
        parser.error(f"no such measurement: {', '.join(unknown)}; there are: {', '.join(BENCHES)}")
    machine = _machine()
    print(f"{machine}\n{chosen.repeats} repeats of each timing, the best counts\n")
    results: dict[str, object] = {"machine": machine, "repeats": chosen.repeats, "at_unix_s": int(time.time())}
    for name in chosen.names or BENCHES:
        tables = BENCHES[name](chosen.repeats)
        results[name] = [table.as_dict() for table in tables]
        for table in tables:
            print(table.render(), "\n")
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


def _machine() -> str:
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"{platform.machine()}, {os.cpu_count()} CPUs, load {load}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
