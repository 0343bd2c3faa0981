"""Examines the audio that the simulated ACS played to callers: silences, and the recorded apology."""

from __future__ import annotations

from collections.abc import Sequence

from lab.chaos.apology import find_apology, recorded_apology
from lab.chaos.call_evidence import CallEvidence
from lab.chaos.crowd import Crowd
from lab.chaos.row import Examine, Facts, Scene
from lab.heard_audio import read_recording
from lab.wire import Json


def silences(scene: Scene, _: Sequence[CallEvidence]) -> Facts:
    """Return the longest time after the fault in which a caller heard nothing, not even a hold tone."""
    return {"silence_s": longest_silence(scene.crowd, min(scene.moments.values()) - 1.0)}


def longest_silence(crowd: Crowd, began: float) -> float:
    """Return the longest time after `began` in which a caller heard nothing, in s. All calls were connected once."""
    longest = 0.0
    for lab_id in crowd.placed.values():
        spans = crowd.marks(lab_id)["silences"]
        over = [float(row["t"]) for row in crowd.phone(lab_id)["timeline"] if row["event"] == "ended"]
        lengths = [min([end, *over]) - max(begin, began) for begin, end in spans]
        longest = max([longest, *lengths])
    return longest


def with_silences(examine: Examine) -> Examine:
    """Return a measurement that adds the figures of `silences` to those of another one."""

    def both(scene: Scene, traces: Sequence[CallEvidence]) -> Facts:
        return examine(scene, traces) | silences(scene, traces)

    return both


def apologies(scene: Scene, _: Sequence[CallEvidence]) -> Facts:
    """Return the share of callers who heard the recorded apology to its end before call-control hung up, the smallest
    share of it that any caller heard, and the longest time from its end until call-control hung up. The crowd must be
    recorded.
    """
    began = min(scene.moments.values()) - 1.0
    apologized, least, latest = 0, 1.0, 0.0
    for lab_id in scene.crowd.placed.values():
        phone = scene.crowd.phone(lab_id)
        opened = float(phone["line_opened"])
        recording = read_recording(scene.crowd.recording(lab_id))
        apology = recorded_apology(recording.rate_hz)
        found = find_apology(recording.agent, recording.rate_hz, apology, from_s=began - opened)
        ours = _our_hang_up(phone)
        apologized += found.whole and ours is not None
        least = min(least, found.share)
        latest = max(latest, float("inf") if ours is None else ours - opened - found.end_s)
    return {
        "apologized_pct": 100 * apologized / max(len(scene.crowd.placed), 1),
        "apology_heard_pct": 100 * least,
        "hung_up_after_s": latest,
    }


def _our_hang_up(phone: Json) -> float | None:
    """Return when call-control hung up; None if the caller hung up, or if the call was transferred."""
    times = [row["t"] for row in phone["timeline"] if row["event"] == "hang_up" and row["reason"] == "agent_hung_up"]
    return float(times[0]) if times else None
