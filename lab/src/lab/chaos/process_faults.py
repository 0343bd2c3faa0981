"""Faults of processes. Each function blocks for the duration of the fault and returns its measurements."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from lab.chaos.call_evidence import CallEvidence
from lab.chaos.crowd import Crowd
from lab.chaos.local_fleet import CONTROL, GATEWAY, RELAY
from lab.chaos.row import Facts, Inject, Scene

FROZEN_S: Final = 5.0
ALONE_S: Final = 5.0
_WITHOUT_GATEWAY_S: Final = 8.0
_HANGING_UP: Final = 6
_OUTSIDERS: Final = 40_000
"""Numbers of callers that do not belong to the crowd."""


def kill(kind: str) -> Inject:
    """Send SIGKILL to the replica that has the most calls."""

    def inject(scene: Scene) -> Facts:
        scene.fleet.kill(busiest(scene, kind))
        return {}

    return inject


def drain(kind: str, within_s: float = 40.0) -> Inject:
    """Send SIGTERM to the replica that has the most calls. It must exit within this time."""

    def inject(scene: Scene) -> Facts:
        return {"exit_s": scene.fleet.drain(busiest(scene, kind), within_s)}

    return inject


def control_crash(scene: Scene) -> Facts:
    """Send SIGKILL to one call-control process while commands are pending: hang-ups that ACS rejected once."""
    fleet = scene.fleet
    leaving = Crowd(fleet, first=_OUTSIDERS + scene.turn * _HANGING_UP, count=_HANGING_UP)
    leaving.dial()
    leaving.await_talking()
    fleet.inject("acs", {"rest": {"hang_up": {"status": 503, "times": _HANGING_UP}}})
    numbers = {f"4:+1425555{number:05d}" for number in leaving.placed}
    for row in fleet.request("GET", CONTROL, "/api/calls")["calls"]:
        if row["caller"] in numbers:
            fleet.request("POST", CONTROL, f"/api/calls/{row['call_id']}/hangup", {})
    fleet.kill(busiest(scene, CONTROL))
    killed = time.monotonic()
    while leaving.connected() and time.monotonic() < killed + 10:
        time.sleep(0.05)
    ended = [float(row["t"]) for phone in leaving.phones() for row in phone["timeline"] if row["event"] == "ended"]
    done = max(ended) - killed if len(ended) == _HANGING_UP else float("inf")
    return {"commands_done_s": max(done, 0.0)}


def freeze_relay(scene: Scene) -> Facts:
    name = busiest(scene, RELAY)
    scene.fleet.freeze(name)
    time.sleep(FROZEN_S)
    scene.fleet.thaw(name)
    scene.moments["thawed"] = time.monotonic()
    return {}


def freeze_gateway(scene: Scene) -> Facts:
    name = busiest(scene, GATEWAY)
    scene.fleet.freeze(name)
    time.sleep(FROZEN_S)
    scene.fleet.thaw(name)
    return {}


def zombie_life(scene: Scene, traces: Sequence[CallEvidence]) -> Facts:
    """Return how long the resumed relay kept open the voice sessions of calls that it no longer owned."""
    thawed = scene.moments["thawed"]
    old = [session for trace in traces for session in trace.sessions[:-1]]
    return {"zombie_s": max((session.closed_at - thawed for session in old), default=0.0)}


def restart_all(scene: Scene) -> Facts:
    """Restart one process after the other: SIGTERM, wait for its exit, start it, wait until it is ready."""
    fleet = scene.fleet
    slowest = 0.0
    for kind in (CONTROL, GATEWAY, RELAY):
        for name in fleet.running(kind):
            slowest = max(slowest, fleet.drain(name))
            fleet.launch_replica(name)
            fleet.await_ready()
    return {"exit_s": slowest}


def no_relay(scene: Scene) -> Facts:
    """Send SIGKILL to all relays. They are started again after `ALONE_S`."""
    fleet = scene.fleet
    names = fleet.running(RELAY)
    scene.moments["alone"] = time.monotonic()
    for name in names:
        fleet.kill(name)
    time.sleep(ALONE_S)
    for name in names:
        fleet.launch_replica(name)
    fleet.await_ready()
    scene.moments["relays"] = time.monotonic()
    return {}


def no_gateway(scene: Scene) -> Facts:
    """Send SIGKILL to all gateways. They are started again after `_WITHOUT_GATEWAY_S`."""
    fleet = scene.fleet
    names = fleet.running(GATEWAY)
    died = time.monotonic()
    for name in names:
        fleet.kill(name)
    time.sleep(_WITHOUT_GATEWAY_S)
    for name in names:
        fleet.launch_replica(name)
    fleet.await_ready()
    return {"down_s": time.monotonic() - died}


def busiest(scene: Scene, kind: str) -> str:
    """Return the replica with the most calls. For call-control, which owns no calls, return a different one in each
    repetition.
    """
    fleet = scene.fleet
    if kind == RELAY:
        counts = fleet.owned_by_pid()
        return max(counts, key=lambda name: counts[name])
    if kind == GATEWAY:
        return max(fleet.running(GATEWAY), key=fleet.active_calls)
    return fleet.running(kind)[scene.turn % len(fleet.running(kind))]
