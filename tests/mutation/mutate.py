"""`make mutate`: checks that a test fails for a one-line fault in the code that decides, fences and drains.

Takes a seeded sample of the mutants, runs the tests of the mutated module in a copy of the tree, and prints those that
survived. Some of them change nothing that could be observed; each of the others shows a missing test.
"""

from __future__ import annotations

import argparse
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.mutation.mutants import Mutant, mutants_of

ROOT: Final = Path(__file__).resolve().parents[2]
TARGETS: Final = (
    "services/*/src/*/core/**/*.py",
    # fences
    "libs/common/src/**/*.lua",
    "services/*/src/**/*.lua",
    "libs/common/src/bridge_common/store/leases.py",
    "libs/common/src/bridge_common/store/inbox.py",
    "services/agent-relay/src/agent_relay/fleet/lease_keeper.py",
    "services/agent-relay/src/agent_relay/call/downlink_writer.py",
    # drains
    "libs/common/src/bridge_common/service/lifecycle.py",
    "services/agent-relay/src/agent_relay/fleet/hand_over.py",
    "services/agent-relay/src/agent_relay/fleet/relay_worker.py",
    "services/call-control/src/call_control/inbox_worker.py",
    "services/media-gateway/src/media_gateway/admission.py",
)
# The scripts for Redis are tested through the modules that call them: by the first word of a script's name.
CALLERS: Final = {
    "announcement": "test_announcement_store.py",
    "call": "test_call_store*.py",
    "cost": "test_pod_cost_writer.py",
    "fleet": "test_fleet.py",
    "inbox": "test_inbox*.py",
    "lease": "test_leases.py",
    "now": "test_inbox*.py",
    "policy": "test_policy_store.py",
    "quota": "test_connection_quota.py",
    "ring": "test_ring_counter.py",
    "place": "test_rule_places.py",
}
_NOT_COPIED: Final = shutil.ignore_patterns(
    ".git", ".venv", "out", ".lab", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"
)
_SOURCES: Final = ("libs/common/src", "services/*/src", "lab/src")
_SHORTEST_S: Final = 30.0
_SLOWEST: Final = 2
"""A mutant that makes the tests this many times slower counts as killed, because it hangs."""


def package_of(module: Path) -> str:
    return module.parts[module.parts.index("src") + 1]


def judges_of(module: Path) -> list[str]:
    """The tests with the name of the module first, then those of its core package."""
    package = package_of(module)
    pattern = CALLERS[module.stem.split("_")[0]] if module.suffix == ".lua" else f"test_{module.stem}.py"
    found = sorted((ROOT / "tests").rglob(pattern))
    ours = [str(test.relative_to(ROOT)) for test in found if package in test.parts or "contract" in test.parts]
    return ours + ([f"tests/unit/{package}/core"] if "core" in module.parts else [])


class Copy:
    """A copy of the tree in which one mutant at a time is tested."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=_NOT_COPIED)
        sources = [str(path) for pattern in _SOURCES for path in sorted(folder.glob(pattern))]
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sources),
            "PYTHONDONTWRITEBYTECODE": "1",
            "FUZZ_INPUTS": "2000",
        }

    def passes(self, tests: Sequence[str], timeout_s: float) -> bool:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as running:
            try:
                return running.wait(timeout_s) == 0
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, 9)
                return False

    def survives(self, mutant: Mutant, source: str, timeout_s: float) -> bool:
        path = self.folder / mutant.path
        path.write_text(mutant.apply(source), encoding="utf-8")
        try:
            return self.passes(judges_of(mutant.path), timeout_s)
        finally:
            path.write_text(source, encoding="utf-8")


def modules(only: str) -> Iterator[Path]:
    for pattern in TARGETS:
        for path in sorted(ROOT.glob(pattern)):
            module = path.relative_to(ROOT)
            if only in str(module) and path.name != "__init__.py":
                yield module


def main() -> int:
    arguments = _parser().parse_args()
    sources = {module: (ROOT / module).read_text(encoding="utf-8") for module in modules(arguments.only)}
    every = [mutant for module, source in sources.items() for mutant in mutants_of(module, source)]
    chosen = random.Random(arguments.seed).sample(every, min(arguments.mutants, len(every)))
    print(f"{len(chosen)} of {len(every)} mutants of {len(sources)} modules, seed {arguments.seed}", flush=True)
    deadline = time.monotonic() + arguments.minutes * 60
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(arguments.jobs) as pool:
        copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for number in range(arguments.jobs):
            copies.put(Copy(Path(folder) / str(number)))

        def without_fault(package: str) -> float | None:
            """Seconds that the tests of its modules take; None if they fail."""
            copy, began = copies.get(), time.monotonic()
            ours = sorted(mutated for mutated in {mutant.path for mutant in chosen} if package in mutated.parts)
            passed = copy.passes(list(dict.fromkeys(test for module in ours for test in judges_of(module))), 600)
            copies.put(copy)
            return time.monotonic() - began if passed else None

        def judge(mutant: Mutant) -> bool | None:
            """Whether the mutant survives; None if there was no time for it."""
            if time.monotonic() > deadline:
                return None
            copy, took_s = copies.get(), times[package_of(mutant.path)] or 0.0
            survives = copy.survives(mutant, sources[mutant.path], max(_SHORTEST_S, _SLOWEST * took_s))
            copies.put(copy)
            print("SURVIVED" if survives else "killed  ", mutant.describe(sources[mutant.path]), flush=True)
            return survives

        packages = sorted({package_of(mutant.path) for mutant in chosen})
        times = dict(zip(packages, pool.map(without_fault, packages), strict=True))
        if broken := [package for package, took_s in times.items() if took_s is None]:
            print(f"tests fail without any mutant: {', '.join(broken)}", file=sys.stderr)
            return 1
        results = list(pool.map(judge, chosen))
    _report(chosen, results, sources)
    return 0


def _report(chosen: Sequence[Mutant], results: Sequence[bool | None], sources: dict[Path, str]) -> None:
    survivors = [mutant for mutant, survives in zip(chosen, results, strict=True) if survives]
    print(f"\n{results.count(False)} killed, {len(survivors)} survived, {results.count(None)} not tried in time")
    for mutant in sorted(survivors, key=lambda mutant: (mutant.path, mutant.line)):
        print("  " + mutant.describe(sources[mutant.path]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    parser.add_argument("--mutants", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=15.0, help="no mutant is begun after this time")
    parser.add_argument("--only", default="", help="only modules whose path contains this")
    parser.add_argument("--jobs", type=int, default=2)
    return parser


if __name__ == "__main__":
    sys.exit(main())
