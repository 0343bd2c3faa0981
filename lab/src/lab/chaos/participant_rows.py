"""Rows in which a process dies while people are called into calls. Each row combines all stories with one process; the
moment of the fault changes with the repetition.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from lab.chaos import redis_faults as redis
from lab.chaos.action_rows import alone, kill_first
from lab.chaos.call_evidence import CallEvidence
from lab.chaos.local_fleet import CONTROL, GATEWAY, RELAY, FleetPlan
from lab.chaos.people_evidence import people_figures
from lab.chaos.people_stories import PEOPLE_PROFILES, PEOPLE_ROUTING
from lab.chaos.row import BEGAN, GOES_ON, LEFT_ALONE, USUAL, ChaosRow, Facts, FaultTarget, Inject, Scene, gap

PEOPLE_MOMENTS_S: Final = (0.5, 2.5, 5.0)
"""When the fault happens after the requests, by repetition: while callers hear that they are connected; while phones
ring and the first person is introduced; while the next ones ring, join and talk.
"""
PEOPLE_FILE: Final = "people-calls.jsonl"
_PLAN: Final = FleetPlan(relays=2, extra=USUAL.extra, profiles=PEOPLE_PROFILES, routing=PEOPLE_ROUTING)


def meets(fault: Inject, service: str = "", sleep: Callable[[float], None] = time.sleep) -> Inject:
    """Call people into all calls, and inject the fault at the moment of the repetition, when some people hang up.
    `service`: service of the process that dies; its replacement is started when all calls are connected.
    """

    def inject(scene: Scene) -> Facts:
        assert scene.people is not None, "the row has no calls with people; set `people_pct`"
        scene.people.dial()
        if service:
            scene.fleet.launch_replica(f"{service}-2")
            scene.fleet.await_ready()
        scene.people.meet()
        scene.moments[BEGAN] = time.monotonic()
        scene.people.request()
        sleep(PEOPLE_MOMENTS_S[scene.turn % len(PEOPLE_MOMENTS_S)])
        scene.people.leave()
        return fault(scene)

    return inject


def people_outcomes(scene: Scene, _: Sequence[CallEvidence]) -> Facts:
    """Return the figures of the calls with people. Each call is stored in the folder of the fleet."""
    assert scene.people is not None, "the row has no calls with people; set `people_pct`"
    calls = scene.people.evidence()
    with (scene.fleet.folder / PEOPLE_FILE).open("a") as stored:
        stored.writelines(f"{json.dumps(call.as_json() | {'turn': scene.turn})}\n" for call in calls)
    return people_figures(calls)


_NOBODY_ALONE: Final = (
    FaultTarget("left_alone", "==", 0),
    FaultTarget("invited_twice", "==", 0),
    FaultTarget("not_ended", "==", 0),
)
_AS_INTENDED: Final = (
    FaultTarget("outcomes_open", "==", 0),
    FaultTarget("outcomes_untrue", "==", 0),
    FaultTarget("intended_pct", "==", 100),
    FaultTarget("disturbed", "==", 0),
)
_ROW: Final = ChaosRow(
    name="",
    fault="",
    inject=meets(lambda _: {}),
    watch_s=20,
    targets=(),
    examine=people_outcomes,
    plan=_PLAN,
    people_pct=80,
)


def _killed(service: str, name: str, targets: tuple[FaultTarget, ...]) -> ChaosRow:
    return replace(
        _ROW,
        name=f"people-{name}-crash",
        fault=f"{name}: kill -9 while people are called, join, talk and leave, in transfers and added to calls",
        inject=meets(kill_first(service), service),
        before_dialing=alone(service),
        targets=(*GOES_ON, *_NOBODY_ALONE, *_AS_INTENDED, *targets),
    )


PEOPLE_ROWS: Final = (
    _killed(RELAY, "relay", gap(2000, 3000)),
    _killed(GATEWAY, "gateway", (FaultTarget("after_dial_p99_ms", "<=", 300),)),
    _killed(CONTROL, "control", (LEFT_ALONE, *gap(200))),
    # Redis loses requests and records of its last second; nobody may be left alone with them.
    replace(
        _ROW,
        name="people-redis-failover",
        fault="Redis: SENTINEL FAILOVER at the same moments",
        inject=meets(redis.fail_over),
        targets=(*GOES_ON, *_NOBODY_ALONE, LEFT_ALONE, *gap(250)),
        plan=replace(_PLAN, sentinel=True),
    ),
    replace(
        _ROW,
        name="people-redis-empty",
        fault="Redis: kill -9 at the same moments, started again empty after 1 s",
        inject=meets(redis.redis_restarts_empty),
        targets=(*GOES_ON, *_NOBODY_ALONE),
        watch_s=25,
    ),
)
