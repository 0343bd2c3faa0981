"""What Voice Live does to a fleet, and how soon its calls are spoken to again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from lab.chaos.call_evidence import CallEvidence
from lab.chaos.local_fleet import LocalFleet
from lab.chaos.row import Facts, Inject, Scene
from lab.stack import StackError
from lab.wire import call_json

RINGS_S: Final = 3.0
UNTAKEN: Final = ("no_answer", "busy", "declined", "unreachable")
QUOTA_FULL_S: Final = 75.0


def voice_sessions(order: str) -> Inject:
    """`drop`, `mute` or `close` each session that is open."""

    def inject(scene: Scene) -> Facts:
        voice = scene.fleet.url("voice-live")
        for row in scene.crowd.sessions():
            if row["state"] == "open":
                call_json("POST", f"{voice}/lab/sessions/{row['id']}/{order}")
        scene.moments[order] = time.monotonic()
        return {}

    return inject


def voice_refuses(status: int, seconds: float) -> Inject:
    """Every session drops, and new ones are refused for a while."""

    def inject(scene: Scene) -> Facts:
        voice = scene.fleet.url("voice-live")
        call_json("PUT", f"{voice}/lab/faults", {"handshake": {"status": status}})
        voice_sessions("drop")(scene)
        time.sleep(seconds)
        call_json("DELETE", f"{voice}/lab/faults")
        scene.moments["reachable"] = time.monotonic()
        return {}

    return inject


def voice_gone_for_good(scene: Scene) -> Facts:
    """Every session drops and none can be had any more: people are rung."""
    voice = scene.fleet.url("voice-live")
    call_json("PUT", f"{voice}/lab/faults", {"handshake": {"status": 503}})
    voice_sessions("drop")(scene)
    return {}


def gone_and_nobody_answers(scene: Scene) -> Facts:
    """As above; the people who are rung do not take the call, in each repetition for another reason."""
    callee = {"outcome": UNTAKEN[scene.turn % len(UNTAKEN)], "after_s": RINGS_S}
    call_json("PUT", f"{scene.fleet.url('acs')}/lab/callee", callee)
    return voice_gone_for_good(scene)


def rung_in_vain(scene: Scene, _: Sequence[CallEvidence]) -> Facts:
    phones = scene.crowd.phones()
    failed = sum(any(row["event"] == "transfer_failed" for row in phone["timeline"]) for phone in phones)
    return {"rung_in_vain_pct": 100 * failed / max(len(phones), 1)}


def await_full_quota(fleet: LocalFleet) -> None:
    """Until no connection counts any more at the simulated Voice Live, which counts each later than the fleet does."""
    deadline = time.monotonic() + QUOTA_FULL_S
    while (counted := call_json("GET", f"{fleet.url('voice-live')}/lab/quota")["counted"]) > 0:
        if time.monotonic() > deadline:
            raise StackError(f"{counted} connections count although none should have been opened for a minute")
        time.sleep(0.5)


def quota_kept(scene: Scene, _: Sequence[CallEvidence]) -> Facts:
    """Connections that were refused for their number since the fleet began, and the most there were in a minute."""
    voice = scene.fleet.url("voice-live")
    refused = call_json("GET", f"{voice}/lab/handshakes")["refused"]
    return {
        "refused_429": float(sum(row["status"] == 429 for row in refused)),
        "most_connections": float(call_json("GET", f"{voice}/lab/quota")["most"]),
    }


def handed_to_people(scene: Scene, _: Sequence[CallEvidence]) -> Facts:
    phones = scene.crowd.phones()
    transferred = sum(any(row["event"] == "transferred" for row in phone["timeline"]) for phone in phones)
    return {"transferred_pct": 100 * transferred / max(len(phones), 1)}


def resumed_after(moment: str) -> Callable[[Scene, Sequence[CallEvidence]], Facts]:
    """Seconds from a moment of the fault until the last call was spoken to again."""

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
    """As `resumed_after`, and how soon the relay gave up the last session that had stopped to answer."""
    resumed = resumed_after(moment)

    def examine(scene: Scene, traces: Sequence[CallEvidence]) -> Facts:
        since = scene.moments[moment]
        given_up = [
            session.closed_at - since for trace in traces for session in trace.sessions if session.opened_at < since
        ]
        return {**resumed(scene, traces), "noticed_s": max(given_up, default=float("inf"))}

    return examine
