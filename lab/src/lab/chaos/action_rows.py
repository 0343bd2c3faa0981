"""Rows in which a process dies while agents and operators act on their calls. Each row combines all actions with one
process; the moment of the fault changes with the repetition.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from lab.chaos import redis_faults as redis
from lab.chaos.acting_evidence import figures
from lab.chaos.acting_roles import PROFILES, ROUTING
from lab.chaos.call_evidence import CallEvidence
from lab.chaos.local_fleet import CONTROL, GATEWAY, RELAY, FleetPlan, LocalFleet
from lab.chaos.row import BEGAN, GOES_ON, LEFT_ALONE, USUAL, ChaosRow, Facts, FaultTarget, Inject, Scene, gap

MOMENTS_S: Final = (0.0, 0.5, 2.0)
"""When the fault happens after the first request, by repetition: while requests are being made; when they are accepted;
while tones are sent, the business works and goodbyes are heard.
"""
BUSINESS_ANSWERS_S: Final = 2.0
BUSINESS_DOWN_S: Final = 1.0
CALLS_FILE: Final = "acting-calls.jsonl"
_BUSINESS: Final = "business"
_PLAN: Final = FleetPlan(relays=2, extra=USUAL.extra, profiles=PROFILES, routing=ROUTING)


def acts(fault: Inject, service: str = "", sleep: Callable[[float], None] = time.sleep) -> Inject:
    """Let all acting calls act, and inject the fault at the moment of the repetition. `service`: service of the process
    that dies; its stand-in is started when all calls are connected.
    """

    def inject(scene: Scene) -> Facts:
        assert scene.acting is not None, "the row has no acting calls; set `acting_pct`"
        scene.acting.dial()
        if service:
            scene.fleet.launch_replica(f"{service}-2")
            scene.fleet.await_ready()
        scene.moments[BEGAN] = time.monotonic()
        scene.fleet.inject(_BUSINESS, {"late": {"delay_s": BUSINESS_ANSWERS_S}})
        scene.acting.request()
        sleep(MOMENTS_S[scene.turn % len(MOMENTS_S)])
        return fault(scene)

    return inject


def outcomes(scene: Scene, _: Sequence[CallEvidence]) -> Facts:
    """Return the figures of the acting calls. Each call is stored in the folder of the fleet, to examine misses."""
    assert scene.acting is not None, "the row has no acting calls; set `acting_pct`"
    calls = scene.acting.evidence()
    with (scene.fleet.folder / CALLS_FILE).open("a") as stored:
        stored.writelines(f"{json.dumps(call.as_json() | {'turn': scene.turn})}\n" for call in calls)
    return figures(calls)


def alone(service: str) -> Callable[[LocalFleet], None]:
    """Stop the second replica of a service, so that the first one gets all calls."""

    def prepare(fleet: LocalFleet) -> None:
        fleet.drain(f"{service}-2")

    return prepare


def kill_first(service: str) -> Inject:
    def inject(scene: Scene) -> Facts:
        scene.fleet.kill(f"{service}-1")
        return {}

    return inject


def business_dies(scene: Scene) -> Facts:
    """Send SIGKILL to the server of the HTTP tool, and start it again after `BUSINESS_DOWN_S`."""
    scene.fleet.kill(_BUSINESS)
    time.sleep(BUSINESS_DOWN_S)
    scene.fleet.launch_part(_BUSINESS)
    scene.fleet.await_ready()
    return {}


_ACTED: Final = (
    FaultTarget("actions_lost", "==", 0),
    FaultTarget("actions_doubled", "==", 0),
    FaultTarget("hung_up_pct", "==", 100),
    FaultTarget("kept_pct", "==", 100),
    FaultTarget("goodbyes_cut", "==", 0),
    FaultTarget("goodbyes_whole_pct", "==", 100),
    FaultTarget("announcement_heard_pct", "==", 100),
)
_AFTER_LOSS: Final = (
    FaultTarget("actions_doubled", "==", 0),
    FaultTarget("hung_up_pct", "==", 100),
    FaultTarget("kept_pct", "==", 100),
    FaultTarget("closing_s", "<=", 18),
)
_ALL_DONE: Final = FaultTarget("actions_done_pct", "==", 100)


def closes_within(seconds: float) -> FaultTarget:
    return FaultTarget("closing_s", "<=", seconds)


_ROW: Final = ChaosRow(
    name="",
    fault="",
    inject=acts(business_dies),
    watch_s=16,
    targets=(),
    examine=outcomes,
    plan=_PLAN,
    acting_pct=80,
)


def _killed(service: str, name: str, targets: tuple[FaultTarget, ...]) -> ChaosRow:
    return replace(
        _ROW,
        name=f"actions-{name}-crash",
        fault=f"{name}: kill -9 while agents and operators hang up, send tones, note, book and announce",
        inject=acts(kill_first(service), service),
        before_dialing=alone(service),
        targets=(*GOES_ON, *_ACTED, *targets),
    )


ACTION_ROWS: Final = (
    _killed(RELAY, "relay", (_ALL_DONE, closes_within(15), *gap(2000, 3000))),
    _killed(GATEWAY, "gateway", (_ALL_DONE, closes_within(15), FaultTarget("after_dial_p99_ms", "<=", 300))),
    _killed(CONTROL, "control", (_ALL_DONE, closes_within(15), LEFT_ALONE, *gap(200))),
    replace(
        _ROW,
        name="actions-business-crash",
        fault="business: kill -9 of the server of the HTTP tools at the same moments, started again after 1 s",
        targets=(*GOES_ON, *_ACTED, _ALL_DONE, closes_within(10), LEFT_ALONE, *gap(200)),
    ),
    # Redis loses requests and records of its last second; no hang-up may be lost with them.
    replace(
        _ROW,
        name="actions-redis-failover",
        fault="Redis: SENTINEL FAILOVER at the same moments",
        inject=acts(redis.fail_over),
        targets=(*GOES_ON, *_AFTER_LOSS, LEFT_ALONE, *gap(250)),
        plan=replace(_PLAN, sentinel=True),
    ),
    replace(
        _ROW,
        name="actions-redis-empty",
        fault="Redis: kill -9 at the same moments, started again empty after 1 s",
        inject=acts(redis.redis_restarts_empty),
        targets=(*GOES_ON, *_AFTER_LOSS),
        watch_s=20,
    ),
)
