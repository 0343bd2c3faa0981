"""What callers heard, as the simulated ACS has it."""

from __future__ import annotations

from collections.abc import Sequence

from lab.chaos.apology import find_apology, recorded_apology
from lab.chaos.call_evidence import CallEvidence
from lab.chaos.row import Examine, Facts, Scene
from lab.heard_audio import read_recording
from lab.wire import Json, call_json, raw


def silences(scene: Scene, _: Sequence[CallEvidence]) -> Facts:
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

    def both(scene: Scene, traces: Sequence[CallEvidence]) -> Facts:
        return examine(scene, traces) | silences(scene, traces)

    return both


def apologies(scene: Scene, _: Sequence[CallEvidence]) -> Facts:
    """Whose call we ended after the caller had heard our recorded apology to its end, how much of it was heard at
    least, and how long after it we hung up. Of a crowd that is recorded.
    """
    acs, began = scene.fleet.url("acs"), min(scene.moments.values()) - 1.0
    told, least, latest = 0, 1.0, 0.0
    for lab_id in scene.crowd.placed.values():
        phone = scene.crowd.phone(lab_id)
        opened = float(phone["line_opened"])
        recording = read_recording(raw("GET", f"{acs}/lab/calls/{lab_id}/recording.wav"))
        apology = recorded_apology(recording.rate_hz)
        found = find_apology(recording.agent, recording.rate_hz, apology, from_s=began - opened)
        ours = _our_hang_up(phone)
        told += found.whole and ours is not None
        least = min(least, found.share)
        latest = max(latest, float("inf") if ours is None else ours - opened - found.end_s)
    return {
        "apologized_pct": 100 * told / max(len(scene.crowd.placed), 1),
        "apology_heard_pct": 100 * least,
        "hung_up_after_s": latest,
    }


def _our_hang_up(phone: Json) -> float | None:
    """When call-control ended the call, if it was it who did; a transferred call is no such end."""
    times = [row["t"] for row in phone["timeline"] if row["event"] == "hang_up" and row["reason"] == "agent_hung_up"]
    return float(times[0]) if times else None
