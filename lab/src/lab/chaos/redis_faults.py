"""What is done to Redis and the way to it. Each function blocks as long as the fault lasts and returns its figures."""

from __future__ import annotations

import contextlib
import time
from typing import Final

from lab.chaos.local_fleet import RELAY
from lab.chaos.process_faults import busiest
from lab.chaos.row import Facts, Inject, Scene
from lab.redis_line import RedisRefusedError, ask

REDIS_DOWN_S: Final = 1.0
CUT_OFF_S: Final = 10.0
SETTLED_S: Final = 2.0


def redis_restarts_empty(scene: Scene) -> Facts:
    scene.fleet.kill("redis")
    down = time.monotonic()
    time.sleep(REDIS_DOWN_S)
    scene.fleet.start_redis_again()
    return {"down_s": time.monotonic() - down}


def primary_crash(scene: Scene) -> Facts:
    assert scene.fleet.group is not None, "the plan has no sentinels"
    scene.fleet.group.kill_primary()
    return {}


def fail_over(scene: Scene) -> Facts:
    assert scene.fleet.group is not None, "the plan has no sentinels"
    scene.fleet.group.fail_over()
    return {}


def redis_stalls(seconds: float) -> Inject:
    """`DEBUG SLEEP`: the server answers nobody for so long."""

    def inject(scene: Scene) -> Facts:
        ask(scene.fleet.redis_port, "DEBUG", "SLEEP", str(seconds), timeout_s=seconds + 5)
        return {}

    return inject


def connections_cut(seconds: float) -> Inject:
    """All connections to Redis reset each second."""

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


def relay_cut_off(scene: Scene) -> Facts:
    """No byte passes between one relay and Redis, and nobody is told."""
    name = busiest(scene, RELAY)
    link = scene.fleet.links[name]
    calls = scene.fleet.active_calls(name)
    scene.fleet.net.run(link.silence(True))
    cut = time.monotonic()
    fenced = _fenced_after(scene, name, calls)
    time.sleep(max(0.0, cut + CUT_OFF_S - time.monotonic()))
    scene.fleet.net.run(link.silence(False))
    scene.moments["thawed"] = time.monotonic()
    return {"self_fence_s": fenced}


def _fenced_after(scene: Scene, name: str, calls: int) -> float:
    """Seconds until the relay says that it keeps all its calls silent."""
    began = time.monotonic()
    while time.monotonic() < began + CUT_OFF_S / 2:
        if scene.fleet.metric(name, "bridge_relay_muted_calls") >= calls:
            return time.monotonic() - began
        time.sleep(0.01)
    return float("inf")
