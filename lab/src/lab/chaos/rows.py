"""The table of all faults and their targets. A target is not relaxed because one machine cannot meet it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lab.chaos import arrivals, heard_gaps
from lab.chaos import process_faults as processes
from lab.chaos import redis_faults as redis
from lab.chaos.action_rows import ACTION_ROWS
from lab.chaos.attack import added_delay, hostile_requests, hostile_sockets
from lab.chaos.local_fleet import RELAY
from lab.chaos.media_rows import GATEWAY_ROWS, ROLLING_ROWS
from lab.chaos.participant_rows import PEOPLE_ROWS
from lab.chaos.pod_rows import POD_ROWS
from lab.chaos.row import (
    EXTRA,
    GOES_ON,
    LEFT_ALONE,
    NEVER_SILENT,
    NOTHING_TWICE,
    ONE_SESSION_HEARS,
    SAME_CONVERSATION,
    USUAL,
    ChaosRow,
    FaultTarget,
    gap,
    nothing,
)
from lab.chaos.soak import keys_left, soak
from lab.chaos.voice_rows import VOICE_ROWS

_NO_CHANGE: Final = FaultTarget("owner_changes", "==", 0)
_NONE_LOST: Final = FaultTarget("lost", "==", 0)
_HARDLY_ANY_LOST: Final = FaultTarget("lost_pct", "<=", 0.1)
_CAPACITY: Final = 20


def late_by(outage_ms: float) -> FaultTarget:
    """Return the target for the delay of the rest of a response: the length of the outage, minus the audio that was
    sent ahead.
    """
    return FaultTarget("late_max_ms", "<=", outage_ms)


ROWS: Final = (
    ChaosRow(
        name="calm",
        fault="none: baseline of the machine",
        inject=nothing,
        watch_s=10,
        targets=(*GOES_ON, LEFT_ALONE, NOTHING_TWICE, _NO_CHANGE, *gap(200)),
    ),
    ChaosRow(
        name="relay-crash",
        fault="relay: kill -9",
        inject=processes.kill(RELAY),
        watch_s=8,
        targets=(*GOES_ON, LEFT_ALONE, *gap(2000, 3000), SAME_CONVERSATION),
        quick=True,
    ),
    ChaosRow(
        name="relay-frozen",
        fault="relay: SIGSTOP 5 s, SIGCONT",
        inject=processes.freeze_relay,
        watch_s=6,
        targets=(*GOES_ON, LEFT_ALONE, *gap(2000, 3000), FaultTarget("zombie_s", "<=", 1.0)),
        examine=processes.zombie_life,
    ),
    ChaosRow(
        name="relay-drain",
        fault="relay: SIGTERM",
        inject=processes.drain(RELAY),
        watch_s=5,
        targets=(*GOES_ON, LEFT_ALONE, *gap(200), *ONE_SESSION_HEARS, FaultTarget("exit_s", "<=", 30)),
        quick=True,
    ),
    *GATEWAY_ROWS,
    ChaosRow(
        name="control-crash",
        fault="call-control: kill -9 in the middle of calls",
        inject=processes.control_crash,
        watch_s=3,
        targets=(
            *(*GOES_ON, LEFT_ALONE, NOTHING_TWICE, _NONE_LOST, _NO_CHANGE, *gap(200)),
            FaultTarget("commands_done_s", "<=", 2.0),
        ),
    ),
    ChaosRow(
        name="answer-crash",
        fault="call-control: kill -9 between IncomingCall and answer",
        inject=arrivals.crash_while_ringing,
        watch_s=4,
        targets=(
            FaultTarget("answered_once_pct", "==", 100),
            FaultTarget("answered_s", "<=", 3.0),
            FaultTarget("went_on_pct", "==", 100),
        ),
        examine=arrivals.answers,
        dials=False,
        repeats=16,
    ),
    ChaosRow(
        name="redis-primary-crash",
        fault="Redis: kill -9 of the primary under Sentinel, down-after 1 s",
        inject=redis.primary_crash,
        watch_s=7,
        targets=(*GOES_ON, LEFT_ALONE, NOTHING_TWICE, _NO_CHANGE, *gap(3500)),
        plan=replace(USUAL, sentinel=True),
    ),
    ChaosRow(
        name="redis-failover",
        fault="Redis: SENTINEL FAILOVER",
        inject=redis.fail_over,
        watch_s=3,
        targets=(*GOES_ON, LEFT_ALONE, NOTHING_TWICE, _NO_CHANGE, *gap(250)),
        plan=replace(USUAL, sentinel=True),
    ),
    ChaosRow(
        name="redis-empty",
        fault="Redis: kill -9, started again empty after 1 s",
        inject=redis.redis_restarts_empty,
        watch_s=8,
        targets=(*GOES_ON, LEFT_ALONE, NOTHING_TWICE, FaultTarget("gap_beyond_down_ms", "<=", 1000)),
    ),
    ChaosRow(
        name="redis-stall-short",
        fault="Redis: DEBUG SLEEP 0.5",
        inject=redis.redis_stalls(0.5),
        watch_s=5,
        targets=(
            *GOES_ON,
            LEFT_ALONE,
            NOTHING_TWICE,
            _HARDLY_ANY_LOST,
            _NO_CHANGE,
            FaultTarget("gap_max_ms", "<=", 700),
            late_by(500),
        ),
    ),
    ChaosRow(
        name="redis-stall-long",
        fault="Redis: DEBUG SLEEP 3",
        inject=redis.redis_stalls(3.0),
        watch_s=7,
        targets=(
            *GOES_ON,
            LEFT_ALONE,
            NOTHING_TWICE,
            _HARDLY_ANY_LOST,
            _NO_CHANGE,
            FaultTarget("gap_max_ms", "<=", 3500),
            late_by(3000),
        ),
    ),
    ChaosRow(
        name="redis-cut",
        fault="Redis: all connections cut every second for a minute",
        inject=redis.connections_cut(60),
        watch_s=4,
        targets=(
            *GOES_ON,
            LEFT_ALONE,
            NOTHING_TWICE,
            FaultTarget("lost_pct", "<=", 1.0),
            FaultTarget("tasks_growth", "<=", 2),
        ),
    ),
    ChaosRow(
        name="relay-cut-off",
        fault="relay: cut off from Redis for 10 s without a reset",
        inject=redis.relay_cut_off(10),
        watch_s=6,
        targets=(
            *(*GOES_ON, LEFT_ALONE, *gap(2000, 3000), FaultTarget("self_fence_s", "<=", 1.0)),
            *(FaultTarget("repeated_downlink", "==", 0), FaultTarget("zombie_s", "<=", 1.0)),
        ),
        examine=processes.zombie_life,
        plan=replace(USUAL, relay_links=True),
    ),
    *VOICE_ROWS,
    *ACTION_ROWS,
    *PEOPLE_ROWS,
    ChaosRow(
        name="no-relay",
        fault="relay: kill -9 of all, started again after 5 s",
        inject=processes.no_relay,
        watch_s=6,
        targets=(*GOES_ON, LEFT_ALONE, NEVER_SILENT),
        examine=heard_gaps.silences,
    ),
    *ROLLING_ROWS,
    *POD_ROWS,
    ChaosRow(
        name="webhooks",
        fault="webhooks: each repeated ten times, late and reordered",
        inject=arrivals.webhooks_gone_wild,
        watch_s=3,
        targets=(
            FaultTarget("answered_once_pct", "==", 100),
            FaultTarget("backward_states", "==", 0),
            FaultTarget("went_on_pct", "==", 100),
        ),
        examine=arrivals.answers,
        dials=False,
    ),
    ChaosRow(
        name="over-capacity",
        fault="fleet: 150 % of its capacity in calls",
        inject=arrivals.over_capacity,
        watch_s=8,
        targets=(
            *GOES_ON,
            FaultTarget("admitted", "==", _CAPACITY),
            FaultTarget("diverted", "==", _CAPACITY // 2),
            FaultTarget("diverted_after_answer", "==", 0),
            FaultTarget("diverted_s", "<=", 2.0),
            FaultTarget("delay_p99_ms", "<=", 20),
        ),
        plan=replace(USUAL, relays=2, extra={**EXTRA, RELAY: {"RELAY_CAPACITY": str(_CAPACITY // 2)}}),
        dials=False,
        calls=_CAPACITY * 3 // 2,
    ),
    ChaosRow(
        name="hostile-sockets",
        fault="gateway: one thread at full speed with wrong tokens and floods of small frames, pings, empty frames and"
        " fragments, connections that leave, unfinished heads, floods after the end; bad base64, 64 KB frames",
        inject=hostile_sockets,
        watch_s=2,
        targets=(
            *GOES_ON,
            NOTHING_TWICE,
            _NONE_LOST,
            FaultTarget("added_p99_ms", "<=", 5),
            FaultTarget("attackers_closed_s", "<=", 5.0),
            FaultTarget("memory_mb", "<=", 50),
            FaultTarget("rss_mb", "<=", 384),
        ),
        examine=added_delay,
    ),
    ChaosRow(
        name="hostile-requests",
        fault="call-control: one thread at full speed with unfinished and large heads, unfinished bodies, responses"
        " that are not read, connections that leave",
        inject=hostile_requests,
        watch_s=2,
        targets=(
            *GOES_ON,
            NOTHING_TWICE,
            _NONE_LOST,
            FaultTarget("added_p99_ms", "<=", 5),
            FaultTarget("ready_s", "<=", 5.0),  # The timeout of the liveness probe.
            FaultTarget("memory_mb", "<=", 80),
            FaultTarget("rss_mb", "<=", 256),
        ),
        examine=added_delay,
    ),
    ChaosRow(
        name="soak",
        fault="none: calls replaced every minute for 20 minutes",
        inject=soak(20),
        watch_s=5,
        targets=(
            *GOES_ON,
            FaultTarget("memory_growth_pct_worst", "<=", 2),
            FaultTarget("files_growth_worst", "<=", 2),
            FaultTarget("tasks_growth_worst", "<=", 2),
            FaultTarget("keys_growth_worst", "<=", 2),
            FaultTarget("keys_left", "==", 0),
        ),
        examine=lambda scene, _: keys_left(scene.fleet),
        at_once=2,
    ),
)


def chosen(names: str, *, quick: bool) -> list[ChaosRow]:
    """Return the rows of a comma-separated list, all rows if it is empty. Raises `ValueError` for an unknown name."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {row.name: row for row in ROWS}
    if unknown := [name for name in wanted if name not in known]:
        raise ValueError(f"unknown row: {', '.join(unknown)}; known rows: {', '.join(known)}")
    found = [known[name] for name in wanted] if wanted else list(ROWS)
    return [row for row in found if row.quick] if quick and not wanted else found
