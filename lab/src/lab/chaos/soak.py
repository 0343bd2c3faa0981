"""Hours in minutes: calls come and go, and nothing may be left behind by them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

import psutil

from lab.chaos.crowd import Crowd
from lab.chaos.fleet import Fleet
from lab.chaos.row import Facts, Inject, Scene
from lab.redis_line import ask

RENEWED_EVERY_S: Final = 60.0
FORGOTTEN_AFTER_S: Final = 65.0
"""The streams of an ended call are kept for a minute."""
_SAMPLE_S: Final = 5.0
_WARM_SHARE: Final = 0.25


@dataclass(slots=True)
class Growth:
    """Samples of something that should stay flat."""

    samples: list[tuple[float, float]] = field(default_factory=list)

    def add(self, value: float) -> None:
        self.samples.append((time.monotonic(), value))

    def growth(self) -> float:
        """From the quarter after the warm-up to the last one: the rise of the mean."""
        values = [value for _, value in self.samples[int(len(self.samples) * _WARM_SHARE) :]]
        share = max(1, len(values) // 3)
        return sum(values[-share:]) / share - sum(values[:share]) / share if values else 0.0

    def mean(self) -> float:
        return sum(value for _, value in self.samples) / max(len(self.samples), 1)


def soak(minutes: float) -> Inject:
    """All callers hang up and dial again each minute; the last ones are looked at as in every row."""

    def inject(scene: Scene) -> Facts:
        memory: dict[str, Growth] = {}
        files: dict[str, Growth] = {}
        tasks: dict[str, Growth] = {}
        end = time.monotonic() + minutes * 60
        while time.monotonic() < end:
            renewed = time.monotonic() + RENEWED_EVERY_S
            while time.monotonic() < min(renewed, end):
                _sample(scene.fleet, memory, files)
                for name, count in scene.fleet.tasks().items():
                    tasks.setdefault(name, Growth()).add(count)
                time.sleep(_SAMPLE_S)
            if time.monotonic() < end:
                _renew(scene)
        return {
            "memory_growth_pct_worst": max(100 * one.growth() / one.mean() for one in memory.values()),
            "files_growth_worst": max(one.growth() for one in files.values()),
            "tasks_growth_worst": max(one.growth() for one in tasks.values()),
        }

    return inject


def keys_left(fleet: Fleet) -> Facts:
    """Keys of calls a minute after the last of them, but for records and transcripts: people read them for a day."""
    time.sleep(FORGOTTEN_AFTER_S)
    keys = [str(key) for key in ask(fleet.redis_port, "KEYS", "*:call:*")]
    return {"keys_left": float(sum(1 for key in keys if not key.endswith(":transcript") and key.count(":") > 2))}


def _renew(scene: Scene) -> None:
    old = scene.crowd
    old.hang_up()
    scene.crowd = Crowd(scene.fleet, first=old.first + old.count, count=old.count)
    scene.crowd.dial()
    scene.crowd.await_talking()


def _sample(fleet: Fleet, memory: dict[str, Growth], files: dict[str, Growth]) -> None:
    for process in fleet.processes:
        if process.pid and process.name not in ("acs", "voice-live", "identity"):
            seen = psutil.Process(process.pid)
            memory.setdefault(process.name, Growth()).add(seen.memory_info().rss)
            files.setdefault(process.name, Growth()).add(seen.num_fds())
