"""Faults while calls arrive: repeated and reordered webhooks, too many callers, a crash of call-control."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final

from lab.chaos.call_evidence import CallEvidence
from lab.chaos.local_fleet import CONTROL
from lab.chaos.row import Facts, Scene
from lab.wire import Json


def crash_while_ringing(scene: Scene) -> Facts:
    """Kill call-control (SIGKILL) between the delivery of IncomingCall and the answer, later in each repetition."""
    fleet, crowd = scene.fleet, scene.crowd
    name = fleet.running(CONTROL)[scene.turn % 2]
    dialing = threading.Thread(target=crowd.dial_at_risk)
    dialing.start()
    time.sleep(0.01 + 0.04 * (scene.turn % 16))
    fleet.kill(name)
    dialing.join()
    fleet.launch_replica(name)
    return {}


def answers(scene: Scene, _: Sequence[CallEvidence]) -> Facts:
    """Return the share of calls that were answered exactly once, and the longest time from the accepted delivery to the
    answer.
    """
    slowest, once = 0.0, 0
    phones = scene.crowd.phones()
    for phone in phones:
        times: dict[str, list[float]] = {"incoming_call_sent": [], "answered": []}
        for row in phone["timeline"]:
            times.setdefault(row["event"], []).append(float(row["t"]))
        answered = times["answered"]
        once += len(answered) == 1
        sent = [t for t in times["incoming_call_sent"] if answered and t <= answered[0]]
        slowest = max(slowest, answered[0] - sent[-1] if sent else float("inf"))
    return {"answered_once_pct": 100 * once / max(len(phones), 1), "answered_s": slowest}


def webhooks_gone_wild(scene: Scene) -> Facts:
    """Repeat every event ten times, with callbacks late and in reverse order."""
    scene.fleet.inject("acs", {"event_grid": {"duplicates": 10}, "callbacks": {"duplicates": 10, "reorder": True}})
    scene.crowd.dial()
    scene.crowd.await_talking()
    return {"backward_states": _backward_states(scene, watch_s=3.0)}


_RANKS: Final = ("ringing", "answering", "connected", "transferring", "ending", "diverting", "ended")


def _backward_states(scene: Scene, watch_s: float) -> float:
    seen: dict[str, int] = {}
    backward = 0
    end = time.monotonic() + watch_s
    while time.monotonic() < end:
        for row in scene.fleet.request("GET", CONTROL, "/api/calls")["calls"]:
            rank = _RANKS.index(row["status"])
            backward += rank < seen.get(row["call_id"], 0)
            seen[row["call_id"]] = rank
        time.sleep(0.1)
    return backward


def over_capacity(scene: Scene) -> Facts:
    """Place more calls than the fleet has capacity for."""
    scene.crowd.dial()
    deadline = time.monotonic() + 20
    while any(phone["state"] in ("ringing", "connecting") for phone in scene.crowd.phones()):
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    phones = scene.crowd.phones()
    diverted = [phone for phone in phones if phone["state"] in ("rejected", "redirected")]
    waited = [_seconds_to(phone, phone["state"]) for phone in diverted]
    answered = [any(row["event"] == "answered" for row in phone["timeline"]) for phone in diverted]
    scene.crowd.keep([phone["id"] for phone in phones if phone["state"] == "connected"])
    return {
        "admitted": len(scene.crowd.placed),
        "diverted": len(diverted),
        "diverted_after_answer": sum(answered),
        "diverted_s": max(waited, default=0.0),
    }


def _seconds_to(phone: Json, event: str) -> float:
    """Return the seconds from the first ring to an event in the call's timeline."""
    times = {row["event"]: float(row["t"]) for row in reversed(phone["timeline"])}
    return times.get(event, float("inf")) - times["incoming_call_sent"]
