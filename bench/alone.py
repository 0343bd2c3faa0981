"""Each service by itself under recorded traffic: what a call costs as calls become many.

On a small machine a few hundred calls do not fit together with two simulators that look at every frame. So one
service is measured at a time: one process of it, one of Redis, and one driver that writes prepared frames at their
time and looks at nothing (`alone_driver`). Every call has its own moment within the 20 ms of a frame, so that frames
come one by one, as they do from a network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import product
from typing import Any, Final

import redis

from bench.alone_run import DRIVER, SERVICES, AloneRun, run_alone
from bench.bridges import Shape
from bench.core_speed import LEFT_OUT
from bench.interference import AGAIN, least_disturbed_whole
from bench.spread import Repeated
from bench.stream_memory import StreamMemory, full_streams
from bench.table import Cell, Table
from bench.whole import Options, Outcome, progress
from lab.redis_server import redis_server
from lab.stack import StackError

FEW: Final = 20
MANY: Final = 200
_CORE_MS: Final = 1000.0


def measure(options: Options) -> Outcome:
    """Repeats are interleaved, as those of whole calls are."""
    runs: list[AloneRun] = []
    failures: list[str] = []
    for _, calls, shape, service in product(range(options.runs), options.alone_calls, Shape, SERVICES):
        try:
            run = least_disturbed_whole(partial(run_alone, service, shape, calls, options.seconds, options.folder))
        except StackError as error:
            failures.append(f"{shape}, {calls} calls: {error}")
            progress(f"FAILED: {failures[-1]}")
            continue
        progress(told(run))
        runs.append(run)
    memory = _full_streams()
    figures = summary(runs, options.alone_calls) | {
        "failed": failures,
        "stream_memory": {shape: asdict(found) | {"mb": found.together_mb} for shape, found in memory.items()},
    }
    return Outcome([cpu_table(runs, failures), memory_table(runs, memory)], figures)


def _full_streams() -> dict[Shape, StreamMemory]:
    with redis_server() as url, redis.Redis.from_url(url, protocol=3) as asking:
        return {shape: full_streams(asking, shape) for shape in Shape}


def told(run: AloneRun) -> str:
    """One run in one line."""
    state = "" if run.kept_up else f", DID NOT KEEP UP (sent {run.sent_share:.2f}, handled {run.handled_share:.2f})"
    spent = ", ".join(f"{name} {ms:.2f}" for name, ms in run.cpu_ms.items())
    return f"{run.shape}, {run.calls} calls: {spent} ms/s/call, {run.rss_mb:.0f} MB{state}"


Group = tuple[str, Shape, int]


def _groups(runs: Sequence[AloneRun]) -> dict[Group, list[AloneRun]]:
    groups: dict[Group, list[AloneRun]] = {}
    for run in sorted(runs, key=lambda run: (SERVICES.index(run.service), run.shape, run.calls)):
        groups.setdefault((run.service, run.shape, run.calls), []).append(run)
    return groups


def summary(runs: Sequence[AloneRun], sizes: Sequence[int]) -> dict[str, Any]:
    """All runs, and of each service and shape: how its cost at many calls compares with that at few.

    `sizes`: what was to be measured. Where no run of a size came to figures there is no ratio, and nothing was kept up.
    """
    if not {FEW, MANY} <= set(sizes):
        return {"runs": [asdict(run) | {"kept_up": run.kept_up} for run in runs], "growth": {}}
    growth: dict[str, dict[str, object]] = {}
    for service in SERVICES:
        for shape in Shape:
            few, many = (_chosen(runs, service, shape, calls) for calls in (FEW, MANY))
            growth.setdefault(service, {})[shape] = _growth(service, few, many)
    return {"runs": [asdict(run) | {"kept_up": run.kept_up} for run in runs], "growth": growth}


def _growth(service: str, few: Sequence[AloneRun], many: Sequence[AloneRun]) -> dict[str, object]:
    if not few or not many:
        return {"ratio": None, "calls_per_core": None, "kept_up": False}
    least, most = (Repeated.of(run.cpu_ms[service] for run in some).middle for some in (few, many))
    return {
        "ratio": round(most / least, 3),
        "calls_per_core": int(_CORE_MS / most),
        "kept_up": all(run.kept_up for run in (*few, *many)),
    }


def _chosen(runs: Sequence[AloneRun], service: str, shape: Shape, calls: int) -> list[AloneRun]:
    return [run for run in runs if (run.service, run.shape, run.calls) == (service, shape, calls)]


def cpu_table(runs: Sequence[AloneRun], failures: Sequence[str] = ()) -> Table:
    groups = _groups(runs)
    rows: list[list[Cell]] = []
    for (service, shape, calls), some in groups.items():
        own = Repeated.of(run.cpu_ms[service] for run in some)
        few = groups.get((service, shape, FEW))
        ratio = f"{own.middle / Repeated.of(run.cpu_ms[service] for run in few).middle:.2f}" if few else ""
        others = [Repeated.of(run.cpu_ms.get(name, 0.0) for run in some).text(2) for name in ("redis", DRIVER)]
        shares = [Repeated.of(100 * float(getattr(run, f"{name}_share")) for run in some).text(0) for name in _SHARES]
        kept = "yes" if all(run.kept_up for run in some) else "NO"
        per_core = int(_CORE_MS / own.middle)
        rows.append([f"{service}, {shape}, {calls} calls", own.text(2), *others, ratio, per_core, *shares, kept])
    columns = ["", "service", "redis", "driver", f"to {FEW} calls", "calls per core", *_SHARES, "kept up"]
    notes = [
        "CPU ms per second and call, the median of the runs (least–most). Calls per core: 1,000 ms by that figure.",
        AGAIN,
        "Sent: % of the traffic not later than 5 ms; handled: % of it that came out at the other end.",
        "Waited: % of the time in which the service was ready to run and had no core.",
        f"{LEFT_OUT} As much of the traffic may be late.",
        "Redis serves the driver's appends as well.",
        *(f"A run FAILED and has no figures: {failure}" for failure in failures),
    ]
    return Table("Each service by itself", columns, rows, notes)


_SHARES: Final = ("sent", "handled", "waited", "slowed")


def memory_table(runs: Sequence[AloneRun], streams: Mapping[Shape, StreamMemory]) -> Table:
    rows: list[list[Cell]] = []
    for (service, shape, calls), some in _groups(runs).items():
        idle, held = (Repeated.of(values) for values in zip(*((r.rss_mb_idle, r.rss_mb) for r in some), strict=True))
        grown = f"{(held.middle - idle.middle) / calls:.3f}"
        net = [Repeated.of(value / 1000 for value in values).text(0) for values in _net(some)]
        rows.append([f"{service}, {shape}, {calls} calls", idle.text(), held.text(), grown, *net])
    columns = ["", "MB idle", "MB with calls", "MB per call", "Redis in, KB/s/call", "Redis out, KB/s/call"]
    notes = [
        f"Full streams of one call in Redis, {shape}: {found.together_mb:.2f} MB (uplink {found.uplink_mb:.2f}, "
        f"downlink {found.downlink_mb:.2f})."
        for shape, found in streams.items()
    ]
    return Table("Each service by itself: memory and Redis traffic", columns, rows, notes)


def _net(runs: Sequence[AloneRun]) -> tuple[list[int], list[int]]:
    return [round(run.redis_in_bytes) for run in runs], [round(run.redis_out_bytes) for run in runs]
