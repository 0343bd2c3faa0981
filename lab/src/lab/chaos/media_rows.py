"""Rows in which calls lose their media socket. How ACS reacts is not documented, so each row exists in several variants
of its behavior.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from lab.chaos import process_faults as processes
from lab.chaos.local_fleet import GATEWAY, LocalFleet
from lab.chaos.row import EXTRA, GOES_ON, LEFT_ALONE, USUAL, ChaosRow, FaultTarget, at_once, gap

_REFUSING_S: Final = 4
_AFTER_REPORT: Final = FaultTarget("after_report_p99_ms", "<=", 1500)


def _dials_fail(fleet: LocalFleet) -> None:
    """Let as many dials fail as half of the calls: those of the calls of one gateway. If more failed, the dials after
    the restart of streaming would fail too.
    """
    fleet.inject("acs", {"media": {"refuse": True, "times": max(len(fleet.owners()) // 2, 1)}})


def _others(row: ChaosRow) -> tuple[FaultTarget, ...]:
    """Return the targets that do not depend on the behavior of ACS."""
    return tuple(target for target in row.targets if target.figure in ("exit_s", "repeated_uplink"))


def _starts_are_refused(fleet: LocalFleet) -> None:
    refusal = {"status": 400, "code": "8585", "message": "Action is invalid in the current state of media streaming."}
    fleet.inject("acs", {"rest": {"start_media_streaming": {**refusal, "for_s": _REFUSING_S}}})


@dataclass(frozen=True, slots=True)
class Behavior:
    """How ACS reacts to a lost media socket. `reports`: it posts a callback if it does not dial, or when it stops
    dialing.
    """

    suffix: str
    words: str
    settings: dict[str, str]
    reports: bool = True
    before_fault: Callable[[LocalFleet], None] = at_once

    def of(self, row: ChaosRow) -> ChaosRow:
        return replace(
            row,
            name=row.name + self.suffix,
            fault=f"{row.fault}; {self.words}",
            targets=(*GOES_ON, *((_AFTER_REPORT,) if self.reports else gap(3000)), *_others(row)),
            plan=replace(row.plan, extra={**row.plan.extra, "acs": self.settings}),
            before_fault=self.before_fault,
        )


BEHAVIORS: Final = (
    Behavior(
        "-once", "ACS dials once, half as many dials as calls fail", {"MEDIA_REDIAL": "once"}, before_fault=_dials_fail
    ),
    Behavior("-never", "ACS does not dial by itself", {"MEDIA_REDIAL": "off"}),
    Behavior(
        "-unseen",
        "ACS does not dial by itself, posts no callback and considers streaming to be running",
        {"MEDIA_REDIAL": "off", "MEDIA_LOSS_CALLBACK": "none"},
        reports=False,
    ),
)

_GATEWAY_CRASH: Final = ChaosRow(
    name="gateway-crash",
    fault="gateway: kill -9",
    inject=processes.kill(GATEWAY),
    watch_s=8,
    targets=(*GOES_ON, LEFT_ALONE, FaultTarget("after_dial_p99_ms", "<=", 300)),
)
_GATEWAY_DRAIN: Final = ChaosRow(
    name="gateway-drain",
    fault="gateway: SIGTERM",
    inject=processes.drain(GATEWAY),
    watch_s=6,
    # The other gateway accepts every call at the first dial.
    targets=(
        *(*GOES_ON, FaultTarget("own_gap_p99_ms", "<=", 300)),
        *(FaultTarget("refused_dials", "==", 0), FaultTarget("exit_s", "<=", 60)),
    ),
)
_ROLLING_RESTART: Final = ChaosRow(
    name="rolling-restart",
    fault="all services: SIGTERM one by one under calls",
    inject=processes.restart_all,
    watch_s=6,
    # Frames are lost here, because without a media socket the caller is not heard. No load balancer removes a gateway
    # before its drain begins, so a dial may be refused at that time; the next dial counts.
    targets=(*GOES_ON, FaultTarget("own_gap_p99_ms", "<=", 300), FaultTarget("repeated_uplink", "==", 0)),
)


def in_each_behavior(row: ChaosRow) -> tuple[ChaosRow, ...]:
    """Return the row itself, in which ACS dials until the socket opens, and one row for every other behavior."""
    return (row, *(behavior.of(row) for behavior in BEHAVIORS))


_NEVER_DIALS: Final = replace(USUAL, extra={**EXTRA, "acs": {"MEDIA_REDIAL": "off"}})
GATEWAY_ROWS: Final = (
    *in_each_behavior(_GATEWAY_CRASH),
    ChaosRow(
        name="gateway-crash-refused",
        fault=f"gateway: kill -9; ACS does not dial by itself and refuses to start streaming for {_REFUSING_S} s",
        inject=processes.kill(GATEWAY),
        watch_s=10,
        targets=(*GOES_ON, *gap(1000 * _REFUSING_S + 2500)),
        plan=_NEVER_DIALS,
        before_fault=_starts_are_refused,
    ),
    *in_each_behavior(_GATEWAY_DRAIN),
    ChaosRow(
        name="gateway-frozen",
        fault="gateway: SIGSTOP 5 s, SIGCONT",
        inject=processes.freeze_gateway,
        watch_s=4,
        targets=(*GOES_ON, *gap(3000), FaultTarget("repeated_downlink", "==", 0)),
    ),
    ChaosRow(
        name="no-gateway",
        fault="gateway: kill -9 of all, started again after 8 s; ACS does not dial by itself",
        inject=processes.no_gateway,
        watch_s=6,
        targets=(*GOES_ON, FaultTarget("gap_beyond_down_ms", "<=", 3000)),
        plan=_NEVER_DIALS,
    ),
)
ROLLING_ROWS: Final = in_each_behavior(_ROLLING_RESTART)
