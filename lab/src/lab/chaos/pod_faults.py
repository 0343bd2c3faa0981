"""Roll-outs and scale-downs in the way of Kubernetes: all Deployments at once, and the pods of one Deployment without
waiting for each other's end.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Mapping
from typing import Final

from lab.chaos.local_fleet import CONTROL, GATEWAY, RELAY, LocalFleet
from lab.chaos.pacing import pacing_of
from lab.chaos.rollout import Create, Delete, Order, Pod, Rollout, Signal
from lab.chaos.row import Facts, Inject, Scene
from lab.stack import StackError

KINDS: Final = (CONTROL, GATEWAY, RELAY)
_STEP_S: Final = 0.05
_PROBE_S: Final = 0.25
_LIMIT_S: Final = 900.0
_READY_FOR_S: Final = 3600


def rolling_update(scene: Scene) -> Facts:
    """Replace all pods of all services, at the pace of `k8s/base`, multiplied by the scale of the plan."""
    rollouts = {kind: rollout_of(scene.fleet, kind) for kind in KINDS}
    return carried_out(scene.fleet, rollouts)


def scale_down(to: int) -> Inject:
    """Reduce each service to this number of pods, all at the same moment."""

    def inject(scene: Scene) -> Facts:
        rollouts = {kind: rollout_of(scene.fleet, kind, to, updates=False) for kind in KINDS}
        return carried_out(scene.fleet, rollouts)

    return inject


def rollout_of(fleet: LocalFleet, kind: str, replicas: int | None = None, *, updates: bool = True) -> Rollout:
    """Return the Deployment of the running pods of a service. `replicas`: by default as many as are running."""
    assert fleet.plan.scale is not None, "the plan has no pace; set `scale`"
    now = time.monotonic()
    pacing = pacing_of(kind, fleet.plan.scale)
    # They have been ready for a long time, in the order of their start.
    pods = [Pod(name, began, ready_at=began) for began, name in enumerate(_of(fleet, kind), int(now) - _READY_FOR_S)]
    return Rollout(pacing, len(pods) if replicas is None else replicas, pods, updates=updates)


def _of(fleet: LocalFleet, kind: str) -> list[str]:
    return sorted(fleet.running(kind), key=lambda name: int(name.rpartition("-")[2]))


def carried_out(fleet: LocalFleet, rollouts: Mapping[str, Rollout], *, limit_s: float = _LIMIT_S) -> Facts:
    """Return when all roll-outs have finished and all their pods are gone. Raises `StackError` after `limit_s`.

    Facts: the seconds, the maximum number of pods that drained at the same time, by service, and the number of pods
    that had to be killed at the end of their grace period.
    """
    began = time.monotonic()
    most = dict.fromkeys(rollouts, 0)
    probe_at = began
    while not all(one.finished(time.monotonic()) for one in rollouts.values()):
        now = time.monotonic()
        if now > began + limit_s:
            raise StackError(f"the roll-out did not finish within {limit_s:g} s")
        probing, probe_at = now >= probe_at, probe_at + _PROBE_S if now >= probe_at else probe_at
        for kind, rollout in rollouts.items():
            _observe(fleet, kind, rollout, probing=probing)
            for order in rollout.step(time.monotonic()):
                _obey(fleet, kind, rollout, order)
            most[kind] = max(most[kind], rollout.draining)
        time.sleep(_STEP_S)
    return {
        "roll_s": time.monotonic() - began,
        "killed": float(sum(one.killed for one in rollouts.values())),
        **{f"draining_{kind}": float(count) for kind, count in most.items()},
    }


def _observe(fleet: LocalFleet, kind: str, rollout: Rollout, *, probing: bool) -> None:
    """Remove pods that have exited, update which pods are ready, and set the deletion costs as call-control does.

    Raises `StackError` if a pod exits that was not deleted.
    """
    for pod in list(rollout.pods):
        process = fleet.process(pod.name)
        if process.popen is not None and process.popen.poll() is not None:
            if pod.active:
                raise StackError(f"{pod.name} exited with code {process.popen.poll()}:\n{process.log_tail()}")
            fleet.remove_replica(pod.name)
            rollout.pods.remove(pod)
        elif probing and pod.active:
            ready = process.status() == 200
            pod.ready_at = min(pod.ready_at, time.monotonic()) if ready else float("inf")
            if kind != CONTROL and ready:
                with contextlib.suppress(OSError):
                    pod.cost = fleet.active_calls(pod.name)


def _obey(fleet: LocalFleet, kind: str, rollout: Rollout, order: Order) -> None:
    match order:
        case Create():
            rollout.pods.append(Pod(fleet.add_replica(kind), time.monotonic(), new=True))
        case Delete(pod):
            fleet.leave_ingress(pod.name)
        case Signal(pod, kill):
            process = fleet.process(pod.name)
            assert process.popen is not None
            process.popen.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
