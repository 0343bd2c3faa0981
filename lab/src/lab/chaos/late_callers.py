"""A relay dies while callers ring and new calls use up their share of the connection quota."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from lab.chaos.call_evidence import CallEvidence
from lab.chaos.crowd import Crowd
from lab.chaos.heard_gaps import longest_silence
from lab.chaos.local_fleet import RELAY
from lab.chaos.process_faults import busiest
from lab.chaos.row import BEGAN, Facts, Inject, Scene

RINGING: Final = 3
"""Callers that ring at the moment of the fault."""
AFTERWARDS: Final = 10
"""Callers that dial after it, at the same pace."""
_LATE_CALLERS: Final = 30_000
"""Numbers of the callers that do not belong to the crowd."""
_DECIDED_WITHIN_S: Final = 12.0
"""A phone rings for at most ANSWER_DEADLINE_S (8 s) before its call is diverted."""


def crash_while_ringing(per_minute: float) -> Inject:
    """Let the crowd dial, `per_minute` callers a minute, then `RINGING` callers at the same moment, and kill the relay
    that has the most calls (SIGKILL). `AFTERWARDS` further callers dial at the same pace.
    """
    spacing_s = 60 / per_minute

    def inject(scene: Scene) -> Facts:
        fleet = scene.fleet
        scene.crowd.dial(spacing_s)
        scene.crowd.await_talking()
        time.sleep(spacing_s * RINGING)
        first = _LATE_CALLERS + scene.turn * (RINGING + AFTERWARDS)
        ringing = Crowd(fleet, first=first, count=RINGING)
        ringing.dial()
        name = busiest(scene, RELAY)
        orphans = fleet.owned_by_pid()[name]
        fleet.kill(name)
        scene.moments[BEGAN] = time.monotonic()
        answered = sum(phone["state"] != "ringing" for phone in ringing.phones())
        later = Crowd(fleet, first=first + RINGING, count=AFTERWARDS)
        later.dial(spacing_s)
        time.sleep(_DECIDED_WITHIN_S)
        scene.late = Crowd(fleet, first=first, count=RINGING + AFTERWARDS, placed=ringing.placed | later.placed)
        return {"orphaned_pct": 100 * orphans / scene.crowd.count, "ringing_pct": 100 * (1 - answered / RINGING)}

    return inject


def late_callers(scene: Scene, _: Sequence[CallEvidence]) -> Facts:
    """Return the share of the callers who rang at the fault, or dialed later, that were answered or diverted, how many
    were diverted, and the longest time in which one of them heard nothing after the answer. Hangs up.
    """
    late = scene.late
    assert late is not None, "the row has no late callers; `inject` must set them"
    phones = late.phones()
    diverted = [phone["id"] for phone in phones if phone["state"] in ("redirected", "rejected")]
    answered = [phone["id"] for phone in phones if phone["state"] == "connected"]
    late.keep(answered)
    silence_s = longest_silence(late, scene.moments[BEGAN])
    late.hang_up()
    return {
        "decided_pct": 100 * (len(diverted) + len(answered)) / len(phones),
        "late_diverted": float(len(diverted)),
        "late_silence_s": silence_s,
    }
