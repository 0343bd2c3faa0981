"""`lab upgrade`: replaces the services of one release by those of another under calls, in both directions."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.chaos.call_evidence import CallEvidence
from lab.chaos.chaos import report, run_row
from lab.chaos.crowd import Crowd
from lab.chaos.heard_gaps import longest_silence, with_silences
from lab.chaos.local_fleet import CONTROL, GATEWAY, OWN_SCRIPTS, RELAY, FleetPlan, LocalFleet
from lab.chaos.pod_faults import carried_out, rollout_of
from lab.chaos.result import RowResult, head, line
from lab.chaos.row import BEGAN, EXTRA, GOES_ON, NEVER_SILENT, SAME_CONVERSATION, ChaosRow, Facts, FaultTarget, Scene
from lab.traffic import place_calls

SCALE: Final = 0.1
"""Factor for the times of `k8s/base`."""
ORDER: Final = (CONTROL, GATEWAY, RELAY)
"""The order of docs/operations/upgrade.md; a roll-back has the reverse order."""
_ARRIVAL_S: Final = 5.0
_LATE_CALLERS: Final = 30_000
_SETTLED_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Change:
    """Replaces the services by those in `to`. `steps`: services that are replaced at the same time, in order."""

    to: Path
    steps: Sequence[Sequence[str]]

    def __call__(self, scene: Scene) -> Facts:
        fleet = scene.fleet
        fleet.scripts = self.to
        scene.moments[BEGAN] = time.monotonic()
        found: Counter[str] = Counter()
        with arriving(scene) as bad_entries:
            for step in self.steps:
                found.update(carried_out(fleet, {kind: rollout_of(fleet, kind) for kind in step}))
        return dict(found) | {"bad_entries_meanwhile": sum(bad_entries.values())}


@contextmanager
def arriving(scene: Scene) -> Iterator[Facts]:
    """Let a caller dial every few seconds, so that calls begin with every combination of releases. Yields how many
    entries each process could not decode, as far as it runs.
    """
    late = scene.late = Crowd(scene.fleet, first=_LATE_CALLERS, count=0)
    ended = threading.Event()
    bad_entries: Facts = {}

    def dial() -> None:
        while not ended.wait(_ARRIVAL_S):
            bad_entries.update(undecoded(scene.fleet))
            number = late.first + late.count
            late.placed |= place_calls(scene.fleet, [number])
            late.count += 1

    dialing = threading.Thread(target=dial)
    dialing.start()
    try:
        yield bad_entries
    finally:
        ended.set()
        dialing.join()


def mixed_releases(scene: Scene, _: Sequence[CallEvidence]) -> Facts:
    """Return the number of calls that began between the releases, the share of them that is connected, the longest time
    in which one of them heard nothing, and the number of errors and of entries that could not be decoded.
    """
    late = scene.late
    assert late is not None, "the row has no late callers; `inject` must set them"
    began, connected = len(late.placed), sorted(late.connected())
    late.keep(connected)
    silence_s = longest_silence(late, 0.0)
    late.hang_up()
    errors = list(logged_errors(scene.fleet.folder))
    for error in errors[:10]:
        print(f"  {error}", file=sys.stderr)
    return {
        "began_meanwhile": float(began),
        "late_connected_pct": 100 * len(connected) / max(began, 1),
        "late_silence_s": silence_s,
        "errors_logged": float(len(errors)),
        "bad_entries": sum(undecoded(scene.fleet).values()),
    }


def undecoded(fleet: LocalFleet) -> Facts:
    """Return how many entries each running process could not decode; without processes that do not answer."""
    found: Facts = {}
    for name in [name for kind in ORDER for name in fleet.running(kind)]:
        with contextlib.suppress(OSError, KeyError):  # It may be removed in the meantime.
            found[name] = fleet.metric(name, "bridge_bad_entries_total")
    return found


def logged_errors(folder: Path) -> Iterator[str]:
    """Return the lines of the services' logs with the level ERROR or higher, each with the name of its file. Lines that
    are not JSON, such as tracebacks, count as well.
    """
    for path in sorted(folder.glob("*.log")):
        if path.name.startswith(ORDER):
            for text in path.read_text(errors="replace").splitlines():
                if _is_error(text):
                    yield f"{path.name}: {text[:500]}"


def _is_error(text: str) -> bool:
    try:
        return json.loads(text)["level"] in ("ERROR", "CRITICAL")
    except (ValueError, KeyError, TypeError):
        return bool(text.strip())


_TARGETS: Final = (
    *(*GOES_ON, SAME_CONVERSATION, NEVER_SILENT),
    *(FaultTarget("killed", "==", 0), FaultTarget("late_connected_pct", "==", 100)),
    *(FaultTarget("late_silence_s", "<=", 5), FaultTarget("errors_logged", "==", 0)),
    *(FaultTarget("bad_entries", "==", 0), FaultTarget("bad_entries_meanwhile", "==", 0)),
    FaultTarget("began_meanwhile", ">=", 1),
)


def upgrade_rows(old: Path, new: Path = OWN_SCRIPTS) -> list[ChaosRow]:
    """Return the upgrade from `old` to `new` and the way back: in the documented order, and all services at once.
    `old`, `new`: folders with the programs of the services.
    """
    one_by_one, at_once = [(kind,) for kind in ORDER], [ORDER]
    changes = {
        "upgrade": ("old → new: call-control, then gateways, then relays", old, Change(new, one_by_one)),
        "roll-back": ("new → old: relays, then gateways, then call-control", new, Change(old, one_by_one[::-1])),
        "upgrade-at-once": ("old → new: all services at once", old, Change(new, at_once)),
        "roll-back-at-once": ("new → old: all services at once", new, Change(old, at_once)),
    }
    return [
        ChaosRow(
            name=name,
            fault=f"all services: {about}",
            inject=change,
            watch_s=_SETTLED_S,
            targets=_TARGETS,
            examine=with_silences(mixed_releases),
            plan=FleetPlan(relays=2, scale=SCALE, scripts=before, extra={"voice-live": EXTRA["voice-live"]}),
            repeats=1,
        )
        for name, (about, before, change) in changes.items()
    ]


def upgrade(old: Path, folder: Path, *, calls: int, rows: str = "", json_path: Path | None = None) -> int:
    """Run the upgrades and roll-backs between `old` and this release. Return exit code 0 if all targets are met."""
    missing = [name for name in ORDER if not (old / name).exists()]
    if missing:
        print(f"{', '.join(missing)} not found in {old}; `make upgrade FROM=<revision>` installs them", file=sys.stderr)
        return 2
    wanted = [name.strip() for name in rows.split(",") if name.strip()]
    found = {row.name: row for row in upgrade_rows(old.absolute())}
    if unknown := [name for name in wanted if name not in found]:
        print(f"unknown row: {', '.join(unknown)}; known rows: {', '.join(found)}", file=sys.stderr)
        return 2
    print(f"{calls} calls; logs in {folder}\n\n{head()}", flush=True)
    results: list[RowResult] = []
    for name in wanted or found:
        shutil.rmtree(folder / name, ignore_errors=True)  # The logs are examined.
        results.append(run_row(found[name], folder / name, calls=calls, repeats=1))
        print(line(results[-1]), flush=True)
    if json_path:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps({"rows": report(results)}, indent=1) + "\n")
    return 0 if all(result.passed for result in results) else 1
