"""Faults of Redis and of the network to it. Each function blocks for the duration of the fault and returns its
measurements.
"""

from __future__ import annotations

import contextlib
import time
from typing import Final

from lab.chaos.local_fleet import RELAY
from lab.chaos.process_faults import busiest
from lab.chaos.row import Facts, Inject, Scene
from lab.redis_line import RedisRefusedError, ask

REDIS_DOWN_S: Final = 1.0

SETTLED_S: Final = 2.0


def redis_restarts_empty(scene: Scene) -> Facts:
    scene.fleet.kill("redis")
    down = time.monotonic()
    time.sleep(REDIS_DOWN_S)
    scene.fleet.start_redis_again()
    return {"down_s": time.monotonic() - down}


def primary_crash(scene: Scene) -> Facts:
    assert scene.fleet.group is not None, "the fleet has no sentinels; set `sentinel` in its plan"
    scene.fleet.group.kill_primary()
    return {}


def fail_over(scene: Scene) -> Facts:
    assert scene.fleet.group is not None, "the fleet has no sentinels; set `sentinel` in its plan"
    scene.fleet.group.fail_over()
    return {}


def redis_stalls(seconds: float) -> Inject:
    """Block Redis with `DEBUG SLEEP`: the server does not respond for this time."""

    def inject(scene: Scene) -> Facts:
        ask(scene.fleet.redis_port, "DEBUG", "SLEEP", str(seconds), timeout_s=seconds + 5)
        return {}

    return inject


def connections_cut(seconds: float) -> Inject:
    """Reset all connections to Redis each second."""

    def inject(scene: Scene) -> Facts:
        before = scene.fleet.tasks()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(RedisRefusedError, OSError):
                ask(scene.fleet.redis_port, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            time.sleep(1.0)
        time.sleep(SETTLED_S)
        after = scene.fleet.tasks()
        return {"tasks_growth": max(after[name] - before[name] for name in before)}

    return inject


def relay_cut_off(seconds: float) -> Inject:
    """Partition one relay from Redis, without a reset."""

    def inject(scene: Scene) -> Facts:
        name = busiest(scene, RELAY)
        link = scene.fleet.links[name]
        calls = scene.fleet.active_calls(name)
        scene.fleet.net.run(link.silence(True))
        cut = time.monotonic()
        fenced = _fenced_after(scene, name, calls, seconds / 2)
        time.sleep(max(0.0, cut + seconds - time.monotonic()))
        scene.fleet.net.run(link.silence(False))
        scene.moments["thawed"] = time.monotonic()
        return {"self_fence_s": fenced}

    return inject


def _fenced_after(scene: Scene, name: str, calls: int, within_s: float) -> float:
    """Return the seconds until the relay reports that all its calls are muted."""
    began = time.monotonic()
    while time.monotonic() < began + within_s:
        if scene.fleet.metric(name, "bridge_relay_muted_calls") >= calls:
            return time.monotonic() - began
        time.sleep(0.01)
    return float("inf")
