"""Faults of Voice Live, and the time until callers hear the agent again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from lab.chaos.call_evidence import CallEvidence
from lab.chaos.local_fleet import LocalFleet
from lab.chaos.row import Facts, Inject, Scene
from lab.stack import StackError

RINGS_S: Final = 3.0
UNANSWERED: Final = ("no_answer", "busy", "declined", "unreachable")
QUOTA_FULL_S: Final = 75.0
"""Timeout while the quota recovers: a connection counts against it for a minute."""


def voice_sessions(order: str) -> Inject:
    """Inject `drop`, `mute` or `close` into every open session."""

    def inject(scene: Scene) -> Facts:
        for row in scene.crowd.sessions():
            if row["state"] == "open":
                scene.fleet.request("POST", "voice-live", f"/lab/sessions/{row['id']}/{order}")
        scene.moments[order] = time.monotonic()
        return {}

    return inject


def voice_refuses(status: int, seconds: float) -> Inject:
    """Drop every session, and refuse new ones for this time."""

    def inject(scene: Scene) -> Facts:
        scene.fleet.inject("voice-live", {"handshake": {"status": status}})
        voice_sessions("drop")(scene)
        time.sleep(seconds)
        scene.fleet.clear_faults()
        scene.moments["reachable"] = time.monotonic()
        return {}

    return inject


def voice_gone_for_good(scene: Scene) -> Facts:
    """Drop every session and refuse all new ones: calls are transferred to human agents."""
    scene.fleet.inject("voice-live", {"handshake": {"status": 503}})
    voice_sessions("drop")(scene)
    return {}


def gone_and_nobody_answers(scene: Scene) -> Facts:
    """Drop every session and refuse all new ones, and let no human agent answer, for a different reason in each
    repetition.
    """
    callee = {"outcome": UNANSWERED[scene.turn % len(UNANSWERED)], "after_s": RINGS_S}
    scene.fleet.request("PUT", "acs", "/lab/callee", callee)
    return voice_gone_for_good(scene)


def failed_transfers(scene: Scene, _: Sequence[CallEvidence]) -> Facts:
    phones = scene.crowd.phones()
    failed = sum(any(row["event"] == "transfer_failed" for row in phone["timeline"]) for phone in phones)
    return {"rung_in_vain_pct": 100 * failed / max(len(phones), 1)}


def await_full_quota(fleet: LocalFleet, *, within_s: float = QUOTA_FULL_S, poll_s: float = 0.5) -> None:
    """Wait until the simulated Voice Live counts no connections. It counts each connection later than the fleet
    does.
    """
    deadline = time.monotonic() + within_s
    while (counted := fleet.request("GET", "voice-live", "/lab/quota")["counted"]) > 0:
        if time.monotonic() > deadline:
            raise StackError(f"Voice Live still counts {counted} connections after {within_s:g} s without new calls")
        time.sleep(poll_s)


def quota_usage(scene: Scene, _: Sequence[CallEvidence]) -> Facts:
    """Return the number of connections refused with 429 since the start of the fleet, and the maximum of connections in
    a minute.
    """
    refused = scene.fleet.request("GET", "voice-live", "/lab/handshakes")["refused"]
    return {
        "refused_429": float(sum(row["status"] == 429 for row in refused)),
        "most_connections": float(scene.fleet.request("GET", "voice-live", "/lab/quota")["most"]),
    }


def transferred_calls(scene: Scene, _: Sequence[CallEvidence]) -> Facts:
    phones = scene.crowd.phones()
    transferred = sum(any(row["event"] == "transferred" for row in phone["timeline"]) for phone in phones)
    return {"transferred_pct": 100 * transferred / max(len(phones), 1)}


def resumed_after(moment: str) -> Callable[[Scene, Sequence[CallEvidence]], Facts]:
    """Return the seconds from a step of the fault until the last caller heard the agent again."""

    def examine(scene: Scene, traces: Sequence[CallEvidence]) -> Facts:
        since = scene.moments[moment]
        longest = 0.0
        for trace in traces:
            begun = [t for session in trace.sessions for _, t in session.sent[:1] if t >= since]
            heard = [t for _, _, t in trace.heard if begun and t >= begun[0]]
            longest = max(longest, heard[0] - since if heard else float("inf"))
        return {"resumed_s": longest}

    return examine


def noticed_after(moment: str) -> Callable[[Scene, Sequence[CallEvidence]], Facts]:
    """Return the figures of `resumed_after`, and the seconds until the relay closed the last session that no longer
    responded.
    """
    resumed = resumed_after(moment)

    def examine(scene: Scene, traces: Sequence[CallEvidence]) -> Facts:
        since = scene.moments[moment]
        given_up = [
            session.closed_at - since for trace in traces for session in trace.sessions if session.opened_at < since
        ]
        return {**resumed(scene, traces), "noticed_s": max(given_up, default=float("inf"))}

    return examine
