"""What is done to a fleet. Each function blocks as long as the fault lasts and returns what it measured itself."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from lab.chaos.call_trace import CallTrace
from lab.chaos.crowd import Crowd
from lab.chaos.fleet import CONTROL, GATEWAY, RELAY
from lab.chaos.row import Examine, Facts, Inject, Scene
from lab.redis_line import RedisRefusedError, ask
from lab.wire import Json, call_json

FROZEN_S: Final = 5.0
REDIS_DOWN_S: Final = 1.0
CUT_OFF_S: Final = 10.0
ALONE_S: Final = 5.0
SETTLED_S: Final = 2.0
_HANGING_UP: Final = 6
_OUTSIDERS: Final = 40_000
"""Numbers of callers that are no part of the crowd."""


def nothing(_: Scene) -> Facts:
    """How it looks without a fault: what of a figure is the machine's."""
    return {}


# -- processes
def kill(kind: str) -> Inject:
    """kill -9 of the replica that has the most calls."""

    def inject(scene: Scene) -> Facts:
        scene.fleet.kill(busiest(scene, kind))
        return {}

    return inject


def drain(kind: str) -> Inject:
    """SIGTERM to the replica that has the most calls."""

    def inject(scene: Scene) -> Facts:
        return {"exit_s": scene.fleet.drain(busiest(scene, kind))}

    return inject


def control_crash(scene: Scene) -> Facts:
    """kill -9 of one call-control while commands of it are not carried out yet: hang-ups that ACS refused once."""
    fleet = scene.fleet
    leaving = Crowd(fleet, first=_OUTSIDERS + scene.turn * _HANGING_UP, count=_HANGING_UP)
    leaving.dial()
    leaving.await_talking()
    busy = {"rest": {"hang_up": {"status": 503, "times": _HANGING_UP}}}
    call_json("PUT", f"{fleet.url('acs')}/lab/faults", busy)
    numbers = {f"4:+1425555{number:05d}" for number in leaving.placed}
    for row in call_json("GET", f"{fleet.url(CONTROL)}/api/calls")["calls"]:
        if row["caller"] in numbers:
            call_json("POST", f"{fleet.url(CONTROL)}/api/calls/{row['call_id']}/hangup", {})
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


def zombie_life(scene: Scene, traces: Sequence[CallTrace]) -> Facts:
    """How long the relay that woke up kept a voice session that was not its own any more."""
    thawed = scene.moments["thawed"]
    old = [session for trace in traces for session in trace.sessions[:-1]]
    return {"zombie_s": max((session.closed_at - thawed for session in old), default=0.0)}


def restart_all(scene: Scene) -> Facts:
    """One process after the other: SIGTERM, wait for its end, start it again, wait until it is ready."""
    fleet = scene.fleet
    slowest = 0.0
    for kind in (CONTROL, GATEWAY, RELAY):
        for name in fleet.running(kind):
            slowest = max(slowest, fleet.drain(name))
            fleet.launch_replica(name)
            fleet.await_ready()
    return {"exit_s": slowest}


def busiest(scene: Scene, kind: str) -> str:
    """The replica with the most calls; any of call-control, where none has calls of its own."""
    fleet = scene.fleet
    if kind == RELAY:
        counts = fleet.owned_by_pid()
        return max(counts, key=lambda name: counts[name])
    if kind == GATEWAY:
        return max(fleet.running(GATEWAY), key=fleet.active_calls)
    return fleet.running(kind)[scene.turn % len(fleet.running(kind))]


# -- Redis
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
        if scene.fleet.metric(name, "bridge_relay_silenced_calls") >= calls:
            return time.monotonic() - began
        time.sleep(0.01)
    return float("inf")


# -- Voice Live
def voice_sessions(order: str) -> Inject:
    """`drop`, `mute` or `close` each session that is open."""

    def inject(scene: Scene) -> Facts:
        voice = scene.fleet.url("voice-live")
        for row in scene.crowd.sessions():
            if row["state"] == "open":
                call_json("POST", f"{voice}/lab/sessions/{row['id']}/{order}")
        scene.moments[order] = time.monotonic()
        return {}

    return inject


def voice_refuses(status: int, seconds: float) -> Inject:
    """Every session drops, and new ones are refused for a while."""

    def inject(scene: Scene) -> Facts:
        voice = scene.fleet.url("voice-live")
        call_json("PUT", f"{voice}/lab/faults", {"handshake": {"status": status}})
        voice_sessions("drop")(scene)
        time.sleep(seconds)
        call_json("DELETE", f"{voice}/lab/faults")
        scene.moments["reachable"] = time.monotonic()
        return {}

    return inject


def resumed_after(moment: str) -> Callable[[Scene, Sequence[CallTrace]], Facts]:
    """Seconds from a moment of the fault until the last call was spoken to again."""

    def examine(scene: Scene, traces: Sequence[CallTrace]) -> Facts:
        since = scene.moments[moment]
        longest = 0.0
        for trace in traces:
            begun = [t for session in trace.sessions for _, t in session.sent[:1] if t >= since]
            heard = [t for _, _, t in trace.heard if begun and t >= begun[0]]
            longest = max(longest, heard[0] - since if heard else float("inf"))
        return {"resumed_s": longest}

    return examine


def silences(scene: Scene, _: Sequence[CallTrace]) -> Facts:
    """The longest time in which a caller heard nothing at all, no hold tone either, since the fault began."""
    acs, began = scene.fleet.url("acs"), min(scene.moments.values()) - 1.0
    longest = 0.0
    for lab_id in scene.crowd.placed.values():
        spans = call_json("GET", f"{acs}/lab/calls/{lab_id}/marks")["silences"]
        over = [float(row["t"]) for row in scene.crowd.phone(lab_id)["timeline"] if row["event"] == "ended"]
        lengths = [min([end, *over]) - max(begin, began) for begin, end in spans]
        longest = max([longest, *lengths])
    return {"silence_s": longest}


def with_silences(examine: Examine) -> Examine:
    """The same facts, and whether somebody heard nothing for long."""

    def both(scene: Scene, traces: Sequence[CallTrace]) -> Facts:
        return examine(scene, traces) | silences(scene, traces)

    return both


def no_relay(scene: Scene) -> Facts:
    """All relays die, and come back after a while."""
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


def voice_gone_for_good(scene: Scene) -> Facts:
    """Every session drops and none can be had any more: people are rung."""
    voice = scene.fleet.url("voice-live")
    call_json("PUT", f"{voice}/lab/faults", {"handshake": {"status": 503}})
    voice_sessions("drop")(scene)
    return {}


def handed_to_people(scene: Scene, _: Sequence[CallTrace]) -> Facts:
    phones = scene.crowd.phones()
    transferred = sum(any(row["event"] == "transferred" for row in phone["timeline"]) for phone in phones)
    return {"transferred_pct": 100 * transferred / max(len(phones), 1)}


def noticed_after(moment: str) -> Callable[[Scene, Sequence[CallTrace]], Facts]:
    """As `resumed_after`, and how soon the relay gave up the last session that had stopped to answer."""
    resumed = resumed_after(moment)

    def examine(scene: Scene, traces: Sequence[CallTrace]) -> Facts:
        since = scene.moments[moment]
        given_up = [
            session.closed_at - since for trace in traces for session in trace.sessions if session.opened_at < since
        ]
        return {**resumed(scene, traces), "noticed_s": max(given_up, default=float("inf"))}

    return examine


# -- ringing calls
def crash_while_ringing(scene: Scene) -> Facts:
    """call-control dies at another moment of each repetition: from the delivery of IncomingCall to the answer."""
    fleet, crowd = scene.fleet, scene.crowd
    name = fleet.running(CONTROL)[scene.turn % 2]
    dialling = threading.Thread(target=crowd.dial_at_risk)
    dialling.start()
    time.sleep(0.01 + 0.04 * (scene.turn % 16))
    fleet.kill(name)
    dialling.join()
    fleet.launch_replica(name)
    return {}


def answers(scene: Scene, _: Sequence[CallTrace]) -> Facts:
    """How often and how soon the calls were answered, from the delivery that was taken."""
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
    """Every event ten times more, callbacks late and in reverse order."""
    faults = {
        "event_grid": {"duplicates": 10},
        "callbacks": {"duplicates": 10, "reorder": True},
    }
    call_json("PUT", f"{scene.fleet.url('acs')}/lab/faults", faults)
    scene.crowd.dial()
    scene.crowd.await_talking()
    return {"backward_states": _backward_states(scene, watch_s=3.0)}


_RANKS: Final = ("ringing", "answering", "connected", "transferring", "ending", "diverting", "ended")


def _backward_states(scene: Scene, watch_s: float) -> float:
    seen: dict[str, int] = {}
    backward = 0
    end = time.monotonic() + watch_s
    while time.monotonic() < end:
        answer = call_json("GET", f"{scene.fleet.url(CONTROL)}/api/calls")
        for row in next(iter(answer.values())) if isinstance(answer, dict) else answer:
            rank = _RANKS.index(row["status"])
            backward += rank < seen.get(row["call_id"], 0)
            seen[row["call_id"]] = rank
        time.sleep(0.1)
    return backward


def over_capacity(scene: Scene) -> Facts:
    """More callers than the fleet has room for."""
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
    """From the first ring to an event of the call's timeline."""
    times = {row["event"]: float(row["t"]) for row in reversed(phone["timeline"])}
    return times.get(event, float("inf")) - times["incoming_call_sent"]
