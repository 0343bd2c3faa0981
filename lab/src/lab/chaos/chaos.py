"""`lab chaos`: runs rows of the table on fleets of their own, prints what was measured and says whether it holds."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

from lab.chaos.call_evidence import CallOutcome, outcome
from lab.chaos.crowd import Crowd
from lab.chaos.local_fleet import LocalFleet, running_fleet
from lab.chaos.page import PAGE_PATH, with_table
from lab.chaos.result import RowResult, head, line
from lab.chaos.row import ChaosRow, Facts, Scene
from lab.chaos.rows import ROWS, chosen
from lab.redis_server import NoRedisError
from lab.stack import StackError
from lab.wire import WireError, call_json

Repetition: TypeAlias = tuple[list[CallOutcome], int, Facts]
"""What became of its calls, how many were placed, and what else was measured."""
SETTLE_S: Final = 1.5
"""The calls talk for so long before the fault."""


def chaos(
    names: str, folder: Path, *, calls: int, repeats: int, json_path: Path | None = None, quick: bool = False
) -> int:
    """Exit code 0 when every target of every row holds, 1 when not, 2 for a row that does not exist."""
    try:
        rows = chosen(names, quick=quick)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no fleet is left behind
    print(f"{calls} calls, {repeats} repetitions, {os.cpu_count()} cores; logs in {folder}\n\n{head()}", flush=True)
    results: list[RowResult] = []
    for row in rows:
        results.append(run_row(row, folder / row.name, calls=row.calls or calls, repeats=row.repeats or repeats))
        print(line(results[-1]), flush=True)
        if json_path:
            keep(json_path, report(results[-1:]))
    missed = [result.row.name for result in results if not result.passed]
    print(
        f"\n{len(results) - len(missed)} of {len(results)} rows hold" + (f"; not {', '.join(missed)}" if missed else "")
    )
    return 1 if missed else 0


def report(results: Sequence[RowResult]) -> list[dict[str, Any]]:
    """One for each row, with the machine that it was measured on."""
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    measured_at = datetime.now(UTC).isoformat(timespec="seconds")
    return [{**result.as_json(), "machine": machine, "measured_at": measured_at} for result in results]


def keep(path: Path, measured: Sequence[dict[str, Any]]) -> None:
    """Put these rows into the file, in place of what it held of them: so runs of some rows add up to the table."""
    stored = {row["row"]: row for row in kept(path)} | {row["row"]: row for row in measured}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rows": [stored[row.name] for row in ROWS if row.name in stored]}, indent=1) + "\n")


def kept(path: Path) -> list[dict[str, Any]]:
    """The rows that the file holds; none when there is no file."""
    with contextlib.suppress(FileNotFoundError):
        return list(json.loads(path.read_text())["rows"])
    return []


def write_page(json_path: Path) -> int:
    """Put the table of the kept rows into docs/resilience.md. Exit code 2 when there are none."""
    rows = kept(json_path)
    if not rows:
        print(f"{json_path} holds no rows: run `make chaos` first", file=sys.stderr)
        return 2
    PAGE_PATH.write_text(with_table(PAGE_PATH.read_text(), rows))
    print(f"{len(rows)} of {len(ROWS)} rows written to {PAGE_PATH}")
    return 0


def run_row(row: ChaosRow, folder: Path, *, calls: int, repeats: int) -> RowResult:
    """All repetitions, on one fleet that is made whole before each, or on several side by side."""
    result = RowResult(row)
    began = time.monotonic()
    at_once = min(row.at_once, repeats)
    folders = [folder / str(number) for number in range(1, at_once + 1)] if at_once > 1 else [folder]
    try:
        # Told to exit, the fleets go first: what a repetition waits for ends with them.
        with ThreadPoolExecutor(at_once) as pool, contextlib.ExitStack() as stack:
            fleets: SimpleQueue[LocalFleet] = SimpleQueue()
            for own in folders:
                fleets.put(stack.enter_context(running_fleet(row.plan, own)))
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)
            for job in [pool.submit(_repeat_on_one, row, fleets, turn, calls) for turn in range(repeats)]:
                result.add(*job.result())
    except (StackError, NoRedisError, WireError, OSError) as error:
        result.failure = f"{type(error).__name__}: {error}"
    result.took_s = time.monotonic() - began
    return result


def _repeat_on_one(row: ChaosRow, fleets: SimpleQueue[LocalFleet], turn: int, calls: int) -> Repetition:
    fleet = fleets.get()
    try:
        return _repeat(row, fleet, turn, calls)
    finally:
        fleets.put(fleet)


def _repeat(row: ChaosRow, fleet: LocalFleet, turn: int, calls: int) -> Repetition:
    fleet.heal()
    _forget_faults(fleet)
    row.before_dialling(fleet)
    crowd = Crowd(fleet, first=1 + turn * calls, count=calls, recorded=row.recorded)
    scene = Scene(fleet, crowd, turn)
    if row.dials:
        crowd.dial()
        crowd.await_talking()
        if crowd.answered < calls:
            raise StackError(f"only {crowd.answered} of {calls} callers were spoken to before the fault")
        time.sleep(SETTLE_S)
        row.before_fault(fleet)
    owners = fleet.owners()
    began = time.monotonic()
    facts = row.inject(scene)
    if scene.crowd is not crowd:
        crowd, began = scene.crowd, time.monotonic()
    if not row.dials:
        crowd.await_talking()
        began = time.monotonic()
    time.sleep(row.watch_s)
    ended = time.monotonic()
    connected = crowd.connected()
    facts |= _owner_changes(fleet, owners)
    facts["starts_asked"] = crowd.starts_asked()
    _forget_faults(fleet)
    crowd.hang_up()
    traces = crowd.traces(connected)
    facts |= row.examine(scene, traces)
    return [outcome(trace, began, ended) for trace in traces], len(crowd.placed), facts


def _owner_changes(fleet: LocalFleet, before: dict[str, tuple[str, int]]) -> Facts:
    """Calls that another process drives than before, or the same one anew."""
    try:
        now = fleet.owners()
    except OSError:
        return {}
    return {"owner_changes": float(sum(1 for call_id, owner in before.items() if now.get(call_id) != owner))}


def _forget_faults(fleet: LocalFleet) -> None:
    for simulator in ("acs", "voice-live"):
        call_json("DELETE", f"{fleet.url(simulator)}/lab/faults")
