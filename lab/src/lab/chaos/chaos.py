"""`lab chaos`: injects each fault of the table into a separate fleet, prints the figures and compares them with the
targets.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

from lab.chaos.acting_calls import ActingCrowd
from lab.chaos.acting_roles import cast
from lab.chaos.call_evidence import CallOutcome, outcome
from lab.chaos.crowd import Crowd
from lab.chaos.local_fleet import FleetPlan, LocalFleet, running_fleet
from lab.chaos.page import PAGE_PATH, with_table
from lab.chaos.people_calls import PeopleCrowd
from lab.chaos.people_stories import cast_people
from lab.chaos.result import RowResult, head, line
from lab.chaos.row import BEGAN, ChaosRow, Facts, Scene
from lab.chaos.rows import ROWS, chosen
from lab.metric_recorder import MetricRecorder, targets_of
from lab.redis_server import NoRedisError
from lab.stack import StackError
from lab.wire import WireError

Repetition: TypeAlias = tuple[list[CallOutcome], int, Facts]
"""The outcomes of the calls, the number of calls placed, and other measurements."""
Repeat: TypeAlias = Callable[[ChaosRow, LocalFleet, int, int], Repetition]
StartFleet: TypeAlias = Callable[[FleetPlan, Path], AbstractContextManager[LocalFleet]]
SETTLE_S: Final = 1.5
"""Time for which the calls exchange audio before the fault."""


def chaos(
    names: str,
    folder: Path,
    *,
    calls: int,
    repeats: int,
    json_path: Path | None = None,
    quick: bool = False,
    metrics_path: Path | None = None,
) -> int:
    """Run the chosen rows. Return exit code 0 if all targets are met, 1 if not, 2 for an unknown row.

    `metrics_path`: file for the metrics of all services during the rows. Repetitions then run one after the other.
    """
    try:
        rows = chosen(names, quick=quick)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # stops the fleets
    print(f"{calls} calls, {repeats} repetitions, {os.cpu_count()} cores; logs in {folder}\n\n{head()}", flush=True)
    results: list[RowResult] = []
    recorder = MetricRecorder()
    for row in rows:
        results.append(
            run_row(
                replace(row, at_once=1) if metrics_path else row,
                folder / row.name,
                calls=row.calls or calls,
                repeats=row.repeats or repeats,
                start_fleet=recorded(running_fleet, recorder) if metrics_path else running_fleet,
            )
        )
        if metrics_path:
            recorder.write(metrics_path)
        print(line(results[-1]), flush=True)
        if json_path:
            keep(json_path, report(results[-1:]))
    missed = [result.row.name for result in results if not result.passed]
    passed = len(results) - len(missed)
    print(f"\n{passed} of {len(results)} rows passed" + (f"; missed: {', '.join(missed)}" if missed else ""))
    return 1 if missed else 0


def report(results: Sequence[RowResult]) -> list[dict[str, Any]]:
    """Return the results as JSON, each with the machine and the time of the measurement."""
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    measured_at = datetime.now(UTC).isoformat(timespec="seconds")
    return [{**result.as_json(), "machine": machine, "measured_at": measured_at} for result in results]


def keep(path: Path, measured: Sequence[dict[str, Any]]) -> None:
    """Store the results of these rows in the file, replacing earlier ones."""
    stored = {row["row"]: row for row in kept(path)} | {row["row"]: row for row in measured}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rows": [stored[row.name] for row in ROWS if row.name in stored]}, indent=1) + "\n")


def kept(path: Path) -> list[dict[str, Any]]:
    """Return the rows in the file; none if it does not exist."""
    with contextlib.suppress(FileNotFoundError):
        return list(json.loads(path.read_text())["rows"])
    return []


def write_page(json_path: Path, page: Path = PAGE_PATH) -> int:
    """Write the table of the stored rows to docs/resilience.md. Return exit code 2 if there are none."""
    rows = kept(json_path)
    if not rows:
        print(f"{json_path} contains no rows; run `make chaos` first", file=sys.stderr)
        return 2
    page.write_text(with_table(page.read_text(), rows))
    print(f"{len(rows)} of {len(ROWS)} rows written to {page}")
    return 0


def repeat(
    row: ChaosRow,
    fleet: LocalFleet,
    turn: int,
    calls: int,
    *,
    make_crowd: Callable[..., Crowd] = Crowd,
    settle_s: float = SETTLE_S,
) -> Repetition:
    fleet.heal()
    fleet.clear_faults()
    row.before_dialing(fleet)
    acting, people = calls * row.acting_pct // 100, calls * row.people_pct // 100
    calls -= acting + people
    crowd = make_crowd(fleet, first=1 + turn * calls, count=calls, recorded=row.recorded)
    scene = Scene(
        *(fleet, crowd, turn),
        ActingCrowd(fleet, tuple(cast(acting, turn)), turn) if acting else None,
        PeopleCrowd(fleet, tuple(cast_people(people, turn)), turn) if people else None,
    )
    if row.dials:
        crowd.dial()
        crowd.await_talking()
        if crowd.answered < calls:
            raise StackError(f"only {crowd.answered} of {calls} callers heard the agent before the fault")
        time.sleep(settle_s)
        row.before_fault(fleet)
    owners = fleet.owners()
    began = time.monotonic()
    facts = row.inject(scene)
    began = scene.moments.get(BEGAN, began)
    if scene.crowd is not crowd:
        crowd, began = scene.crowd, time.monotonic()
    if not row.dials and BEGAN not in scene.moments:
        crowd.await_talking()
        began = time.monotonic()
    time.sleep(row.watch_s)
    ended = time.monotonic()
    connected = crowd.connected()
    facts |= _owner_changes(fleet, owners)
    facts["starts_asked"] = crowd.starts_asked()
    fleet.clear_faults()
    crowd.hang_up()
    traces = crowd.traces(connected)
    facts |= row.examine(scene, traces)
    return [outcome(trace, began, ended) for trace in traces], len(crowd.placed), facts


def run_row(
    row: ChaosRow,
    folder: Path,
    *,
    calls: int,
    repeats: int,
    start_fleet: StartFleet = running_fleet,
    repeat: Repeat = repeat,
) -> RowResult:
    """Run all repetitions: one after the other on one fleet, which is repaired before each, or in parallel on `at_once`
    fleets.
    """
    result = RowResult(row)
    began = time.monotonic()
    at_once = min(row.at_once, repeats)
    folders = [folder / str(number) for number in range(1, at_once + 1)] if at_once > 1 else [folder]
    try:
        # On exit the fleets are stopped first: repetitions that are still waiting fail and return.
        with ThreadPoolExecutor(at_once) as pool, contextlib.ExitStack() as stack:
            fleets: SimpleQueue[LocalFleet] = SimpleQueue()
            for own in folders:
                fleets.put(stack.enter_context(start_fleet(row.plan, own)))
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)

            def on_free_fleet(turn: int) -> Repetition:
                fleet = fleets.get()
                try:
                    return repeat(row, fleet, turn, calls)
                finally:
                    fleets.put(fleet)

            for job in [pool.submit(on_free_fleet, turn) for turn in range(repeats)]:
                result.add(*job.result())
    except (StackError, NoRedisError, WireError, OSError) as error:
        result.failure = f"{type(error).__name__}: {error}"
    result.took_s = time.monotonic() - began
    return result


def recorded(start_fleet: StartFleet, recorder: MetricRecorder) -> StartFleet:
    """Return a function that starts a fleet like `start_fleet` and records its metrics while it runs."""

    @contextlib.contextmanager
    def start(plan: FleetPlan, folder: Path) -> Iterator[LocalFleet]:
        with start_fleet(plan, folder) as fleet, recorder.watching(lambda: targets_of(fleet)):
            yield fleet

    return start


def _owner_changes(fleet: LocalFleet, before: dict[str, tuple[str, int]]) -> Facts:
    """Return how many calls have been claimed since, by another process or by the same one."""
    try:
        now = fleet.owners()
    except OSError:
        return {}
    return {"owner_changes": float(sum(1 for call_id, owner in before.items() if now.get(call_id) != owner))}
