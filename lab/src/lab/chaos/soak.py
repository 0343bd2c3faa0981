"""A soak test: calls come and go, and memory, files, tasks and Redis keys must not grow."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import psutil

from lab.chaos.crowd import Crowd
from lab.chaos.local_fleet import CONTROL, GATEWAY, RELAY, LocalFleet, kind_of
from lab.chaos.row import Facts, Inject, Scene
from lab.redis_line import ask

RENEWED_EVERY_S: Final = 60.0
FORGOTTEN_AFTER_S: Final = 65.0
"""The streams of an ended call expire after a minute."""
_SAMPLE_S: Final = 5.0
_WARM_SHARE: Final = 0.25


@dataclass(slots=True)
class Growth:
    """Samples of a quantity that should not grow."""

    samples: list[tuple[float, float]] = field(default_factory=list)

    def add(self, value: float) -> None:
        self.samples.append((time.monotonic(), value))

    def growth(self) -> float:
        """Return the increase of the mean from the quarter after the warm-up to the last quarter."""
        first, last = self._quarters()
        return sum(last) / len(last) - sum(first) / len(first) if last else 0.0

    def growth_of_least(self) -> float:
        """Return the increase of the minimum. A leak raises it; temporary use after a burst does not."""
        first, last = self._quarters()
        return min(last) - min(first) if last else 0.0

    def _quarters(self) -> tuple[list[float], list[float]]:
        """Return the values of the quarter after the warm-up, and of the last quarter."""
        values = [value for _, value in self.samples[int(len(self.samples) * _WARM_SHARE) :]]
        share = max(1, len(values) // 3)
        return values[:share], values[-share:]

    def mean(self) -> float:
        return sum(value for _, value in self.samples) / max(len(self.samples), 1)


def soak(minutes: float) -> Inject:
    """Let all callers hang up and dial again each minute. The last calls are examined as in every row."""

    def inject(scene: Scene) -> Facts:
        seen = Samples()
        end = time.monotonic() + minutes * 60
        while time.monotonic() < end:
            renewed = time.monotonic() + RENEWED_EVERY_S
            while time.monotonic() < min(renewed, end):
                seen.add(look_at(scene.fleet))
                time.sleep(_SAMPLE_S)
            if time.monotonic() < end:
                _renew(scene)
        return seen.facts()

    return inject


class Samples:
    """Sums over all replicas of a service: each minute calls are distributed among the replicas again."""

    def __init__(self) -> None:
        self._of_kind: dict[str, dict[str, Growth]] = {"memory": {}, "files": {}, "tasks": {}, "keys": {}}

    def add(self, seen: Mapping[str, Mapping[str, float]]) -> None:
        """Add one sample. `seen`: "memory", "files", "tasks" or "keys" → process → value."""
        for what, by_process in seen.items():
            together: dict[str, float] = defaultdict(float)
            for name, value in by_process.items():
                together[kind_of(name)] += value
            for kind, value in together.items():
                self._of_kind[what].setdefault(kind, Growth()).add(value)

    def facts(self) -> Facts:
        """Return the growth of each service and the largest growth; memory in % of its mean.

        Files are compared by their minimum: HTTP keeps connections open for a few seconds, so their mean depends on the
        timing of bursts.
        """
        found: Facts = {}
        for what, by_kind in self._of_kind.items():
            measure = Growth.growth_of_least if what == "files" else Growth.growth
            grown = {kind: measure(one) for kind, one in by_kind.items()}
            name = f"{what}_growth"
            if what == "memory":
                name, grown = f"{name}_pct", {kind: 100 * grown[kind] / one.mean() for kind, one in by_kind.items()}
            found[f"{name}_worst"] = max(grown.values())
            found |= {f"{name}_{kind}": value for kind, value in grown.items()}
        return found


def look_at(fleet: LocalFleet) -> dict[str, dict[str, float]]:
    """Sample all processes. Redis is sampled only by its number of keys: records that it stores for a day use memory,
    and its connections belong to the services.
    """
    memory: dict[str, float] = {}
    files: dict[str, float] = {}
    for process in fleet.processes:
        if process.pid and kind_of(process.name) in (CONTROL, GATEWAY, RELAY):
            seen = psutil.Process(process.pid)
            memory[process.name] = seen.memory_info().rss
            files[process.name] = seen.num_fds()
    return {
        "memory": memory,
        "files": files,
        "tasks": fleet.tasks(),
        "keys": {"redis": float(len(passing_keys(fleet)))},
    }


def passing_keys(fleet: LocalFleet) -> list[str]:
    """Return the keys, except those that are stored for a day: call records, transcripts, and ids of processed
    webhooks.
    """
    keys = [str(key) for key in ask(fleet.redis_port, "KEYS", "*")]
    return [key for key in keys if not re.search(r":call:[^:]+$|:transcript$|:seen:", key)]


def keys_left(fleet: LocalFleet) -> Facts:
    """Return the keys of calls a minute after the last call, except records and transcripts, which are stored for a
    day.
    """
    time.sleep(FORGOTTEN_AFTER_S)
    return {"keys_left": float(sum(1 for key in passing_keys(fleet) if ":call:" in key))}


def _renew(scene: Scene) -> None:
    old = scene.crowd
    old.hang_up()
    scene.crowd = Crowd(scene.fleet, first=old.first + old.count, count=old.count)
    scene.crowd.dial()
    scene.crowd.await_talking()
