"""Rows in which pods come and go as on Kubernetes, and a crash under arrivals. In all of them the simulated Voice Live
enforces the quota of connections.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lab.chaos import late_callers as late
from lab.chaos import pod_faults as pods
from lab.chaos.heard_gaps import silences
from lab.chaos.local_fleet import CONTROL, RELAY, FleetPlan
from lab.chaos.row import (
    EXTRA,
    GOES_ON,
    NEVER_SILENT,
    SAME_CONVERSATION,
    USUAL,
    ChaosRow,
    FaultTarget,
    gap,
)
from lab.chaos.voice_faults import await_full_quota, quota_usage

SCALE: Final = 0.1
"""Factor for the times of `k8s/base`. The minute of the connection quota is not scaled, and twenty calls are more than
a tenth of a planned fleet: relays have less time to hand each call over than in a cluster.
"""
_CONNECTIONS: Final = 30
"""New connections a minute, the documented quota of a Voice Live resource."""
_ARRIVALS_PER_MIN: Final = 24
"""80 % of the quota, the most that new calls may use."""
_LIMITED: Final = {
    "voice-live": {**EXTRA["voice-live"], "NEW_CONNECTIONS_PER_MINUTE": str(_CONNECTIONS)},
    RELAY: {"VOICE_LIVE_CONNECTIONS_PER_MIN": str(_CONNECTIONS)},
}
_WITHIN_QUOTA: Final = (FaultTarget("refused_429", "==", 0), FaultTarget("most_connections", "<=", _CONNECTIONS))
_HUMAN_AGENTS: Final = {"REDIRECT_TARGET": "+14255550199"}
_RECONNECT_BUDGET_S: Final = 20.0

_REPLACED: Final = (
    *(*GOES_ON, FaultTarget("own_gap_p99_ms", "<=", 300), FaultTarget("repeated_downlink", "==", 0)),
    *(SAME_CONVERSATION, FaultTarget("killed", "==", 0), *_WITHIN_QUOTA),
)
"""As in `rolling-restart`, but these rows are longer: after the loss of a media socket, the relay requests the rest of
the simulated agent's response, which never ends in calls with marks, and finally replaces the session. The next one
hears some frames again. `killed`: pods that still ran at the end of their grace period.
"""

POD_ROWS: Final = (
    ChaosRow(
        name="rolling-update",
        fault="all services: rolling update as on Kubernetes, three Deployments at once, at ten times the pace of"
        " `k8s/base`; Voice Live answers 429 beyond 30 new connections a minute",
        inject=pods.rolling_update,
        watch_s=4,
        targets=_REPLACED,
        examine=quota_usage,
        plan=FleetPlan(gateways=3, scale=SCALE, extra=_LIMITED),
        before_dialing=await_full_quota,
        before_fault=await_full_quota,
    ),
    ChaosRow(
        name="scale-down",
        fault="all services: from four pods to two at once, at ten times the pace of `k8s/base`; Voice Live as above",
        inject=pods.scale_down(2),
        watch_s=4,
        targets=_REPLACED,
        examine=quota_usage,
        plan=FleetPlan(relays=4, gateways=4, controls=4, scale=SCALE, extra=_LIMITED),
        before_dialing=await_full_quota,
        before_fault=await_full_quota,
    ),
    ChaosRow(
        name="relay-crash-ringing",
        fault="relay: kill -9 of one of two, while three phones ring and 24 callers a minute dial, 80 % of the 30"
        " connections that Voice Live allows",
        inject=late.crash_while_ringing(_ARRIVALS_PER_MIN),
        watch_s=1,
        targets=(
            *(*GOES_ON, *gap(_RECONNECT_BUDGET_S * 1000), SAME_CONVERSATION, NEVER_SILENT, *_WITHIN_QUOTA),
            *(FaultTarget("orphaned_pct", ">=", 30), FaultTarget("ringing_pct", "==", 100)),
            *(FaultTarget("decided_pct", "==", 100), FaultTarget("late_silence_s", "<=", 5)),
        ),
        examine=lambda *seen: silences(*seen) | quota_usage(*seen) | late.late_callers(*seen),
        plan=replace(USUAL, relays=2, extra={**EXTRA, **_LIMITED, CONTROL: _HUMAN_AGENTS}),
        before_dialing=await_full_quota,
        dials=False,
    ),
)
