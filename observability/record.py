"""Records the metrics that the tests of rules and dashboards use: `python -m observability.record [NAME …]`.

Each recording is a run of the real services with the simulators. It covers a minute or two; the tests repeat it to get
a day, or a fault that lasts. README.md beside this file lists the recordings.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from lab.chaos.chaos import chaos
from lab.chaos.local_fleet import CONTROL, GATEWAY, RELAY, FleetPlan, LocalFleet, running_fleet
from lab.metric_recorder import MetricRecorder, targets_of
from lab.stack import EVENT_GRID_SECRET
from lab.wire import WireError, raw
from observability import stories
from observability.callers import arrive, converse, each, hang_up, place

FOLDER: Final = Path(__file__).parent / "recordings"
_SMALL: Final = FleetPlan(relays=2, gateways=2, controls=2)
_PROFILES: Final = "default:\n  greeting:\n    text: Hello.\n"
Story = Callable[[LocalFleet], None]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(RECORDINGS)} (default: all)")
    names = parser.parse_args(argv).names or list(RECORDINGS)
    if unknown := set(names) - set(RECORDINGS):
        parser.error(f"unknown recording: {', '.join(sorted(unknown))}; known: {', '.join(RECORDINGS)}")
    for name in names:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as logs:
            RECORDINGS[name](FOLDER / f"{name}.om.gz", Path(logs))
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    return 0


def rows(names: str, *, calls: int = 8, repeats: int = 1) -> Callable[[Path, Path], None]:
    """Record rows of `lab chaos`. Targets that the row misses do not matter here."""

    def run(path: Path, logs: Path) -> None:
        if chaos(names, logs, calls=calls, repeats=repeats, metrics_path=path) == 2:
            raise SystemExit(f"no row is named {names}")

    return run


def played(story: Story, plan: FleetPlan = _SMALL) -> Callable[[Path, Path], None]:
    """Record a fleet during `story`."""

    def run(path: Path, logs: Path) -> None:
        recorder = MetricRecorder()
        with running_fleet(plan, logs) as fleet, recorder.watching(lambda: targets_of(fleet)):
            story(fleet)
        recorder.write(path)

    return run


# -- stories
def _conversations(fleet: LocalFleet) -> None:
    converse(fleet, 120)


def _slow_agent(fleet: LocalFleet) -> None:
    fleet.inject("voice-live", {"response_slow": {"delay_s": 3.5}})
    converse(fleet, 60)


def _slow_answer(fleet: LocalFleet) -> None:
    fleet.inject("acs", {"rest": {"answer": {"delay_s": 8}}})
    arrive(fleet, 60, lasting_s=15)


def _stalled_speech(fleet: LocalFleet) -> None:
    fleet.inject("voice-live", {"stall": {"after_ms": 400}})
    converse(fleet, 60)


def _mute_agent(fleet: LocalFleet) -> None:
    fleet.inject("voice-live", {"response_silent": {"form": "empty"}})
    converse(fleet, 60)


def _answers_refused(fleet: LocalFleet) -> None:
    fleet.inject("acs", {"rest": {"answer": {"status": 403, "code": "Forbidden"}}})
    arrive(fleet, 60)


def _media_refused(fleet: LocalFleet) -> None:
    fleet.inject("acs", {"media": {"refuse": True}})
    arrive(fleet, 60, lasting_s=40)


def _voice_denied(fleet: LocalFleet) -> None:
    fleet.inject("voice-live", {"handshake": {"status": 403}})
    arrive(fleet, 60)


def _voice_throttled(fleet: LocalFleet) -> None:
    fleet.inject("voice-live", {"handshake": {"status": 429, "retry_after_s": 5}})
    arrive(fleet, 60)


def _hang_ups_refused(fleet: LocalFleet) -> None:
    ids = [place(fleet, number) for number in range(1, 7)]
    time.sleep(4)
    fleet.inject("acs", {"rest": {"hang_up": {"status": 503}, "terminate": {"status": 503}}})
    for row in fleet.request("GET", CONTROL, "/api/calls")["calls"]:
        fleet.request("POST", CONTROL, f"/api/calls/{row['call_id']}/hangup", {})
    time.sleep(40)
    fleet.clear_faults()
    for lab_id in ids:
        hang_up(fleet, lab_id)


def _event_grid_refused(fleet: LocalFleet) -> None:
    """Post events with a wrong secret, then events that call-control cannot read."""
    url = f"{fleet.url(CONTROL)}/api/incomingCall"
    for number in each(60, 2):
        with contextlib.suppress(WireError):
            raw("POST", f"{url}?code=wrong", [_event(number)])
        event = _event(number)
        del event["data"]["incomingCallContext"]
        raw("POST", f"{url}?code={EVENT_GRID_SECRET}", [event])


def _event_grid_outdated(fleet: LocalFleet) -> None:
    for number in each(60, 2):
        event = {**_event(number), "eventTime": "2026-01-01T00:00:00Z"}
        raw("POST", f"{fleet.url(CONTROL)}/api/incomingCall?code={EVENT_GRID_SECRET}", [event])


def _event(number: int) -> dict[str, Any]:
    caller = {
        "kind": "phoneNumber",
        "rawId": f"4:+1425556{number:04d}",
        "phoneNumber": {"value": f"+1425556{number:04d}"},
    }
    callee = {"kind": "phoneNumber", "rawId": "4:+18005551212", "phoneNumber": {"value": "+18005551212"}}
    return {
        "id": f"event-{number}-{time.time()}",
        "topic": "/subscriptions/0/resourcegroups/lab/providers/microsoft.communication/communicationservices/lab",
        "subject": "phoneCall/caller/4:+14255560000/recipient/4:+18005551212",
        "eventType": "Microsoft.Communication.IncomingCall",
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "dataVersion": "1.0",
        "metadataVersion": "1",
        "data": {
            "to": callee,
            "from": caller,
            "serverCallId": f"server-call-{number}",
            "callerDisplayName": "",
            "incomingCallContext": "context",
            "correlationId": f"correlation-{number}-{time.time()}",
        },
    }


def _wrong_keys(fleet: LocalFleet) -> None:
    for number in each(40, 0.5):
        path = "fleet/agent-relay" if number % 2 else "calls"
        with contextlib.suppress(WireError):
            raw("GET", f"{fleet.url(CONTROL)}/api/{path}", headers={"X-Api-Key": "wrong"})


def _gateway_frozen(fleet: LocalFleet) -> None:
    arrive(fleet, 10)
    name = fleet.running(GATEWAY)[0]
    fleet.freeze(name)
    time.sleep(40)
    fleet.thaw(name)


def _relays_gone(fleet: LocalFleet) -> None:
    arrive(fleet, 10)
    for name in fleet.running(RELAY):
        fleet.kill(name)
    arrive(fleet, 50)


def _profiles_broken(fleet: LocalFleet) -> None:
    time.sleep(6)
    (fleet.folder / "profiles.yaml").write_text("default:\n  greeting: [\n")
    time.sleep(40)


RECORDINGS: Final[dict[str, Callable[[Path, Path], None]]] = {
    "conversations": played(_conversations, FleetPlan(relays=3, gateways=2, controls=2)),
    "rolling-restart": rows("rolling-restart"),
    "relay-crash": rows("relay-crash", repeats=4),
    "over-capacity": rows("over-capacity"),
    "redis-stalled": rows("redis-stall-long", repeats=2),
    "redis-failover": rows("redis-failover"),
    "redis-cut": rows("redis-cut"),
    "redis-gone": played(stories.redis_gone, stories.ONE_GATEWAY),
    "voice-gone": rows("voice-gone-apology"),
    "voice-denied": played(_voice_denied),
    "voice-throttled": played(_voice_throttled),
    "tokens-refused": played(stories.tokens_refused, stories.SHORT_TOKENS),
    "signing-keys-gone": played(stories.signing_keys_gone, stories.OWN_KEYS),
    "acs-hangs": played(stories.acs_hangs),
    "voice-quota-used": played(stories.voice_quota_used, stories.SMALL_QUOTA),
    "one-way-audio": played(stories.one_way_audio),
    "caller-audio-bad": played(stories.caller_audio_bad, stories.NO_NOISE),
    "control-cut-off": played(stories.control_cut_off),
    "almost-full": played(stories.almost_full, stories.TEN_CALLS),
    "half-rolled-out": played(stories.half_rolled_out, stories.MIXED),
    "wrong-targets": played(stories.wrong_targets, stories.WITH_TARGET),
    "relays-throttled": played(stories.relays_throttled),
    "answers-refused": played(_answers_refused),
    "hang-ups-refused": played(_hang_ups_refused),
    "media-refused": played(_media_refused),
    "slow-agent": played(_slow_agent),
    "slow-answer": played(_slow_answer),
    "stalled-speech": played(_stalled_speech),
    "mute-agent": played(_mute_agent),
    "event-grid-refused": played(_event_grid_refused),
    "event-grid-outdated": played(_event_grid_outdated),
    "wrong-keys": played(_wrong_keys, FleetPlan(relays=1, gateways=1, controls=1)),
    "gateway-frozen": played(_gateway_frozen),
    "relays-gone": played(_relays_gone),
    "profiles-broken": played(_profiles_broken, FleetPlan(relays=2, gateways=1, controls=1, profiles=_PROFILES)),
}

if __name__ == "__main__":
    sys.exit(main())
