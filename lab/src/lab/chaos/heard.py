"""What callers heard, as the simulated ACS has it."""

from __future__ import annotations

from collections.abc import Sequence

from lab.chaos.call_trace import CallTrace
from lab.chaos.row import Examine, Facts, Scene
from lab.wire import call_json


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
