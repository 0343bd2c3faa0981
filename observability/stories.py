"""Runs in which a part of the fleet, its quota or its audio has a fault. Each begins when all processes are ready."""

from __future__ import annotations

import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lab.chaos.local_fleet import CONTROL, GATEWAY, RELAY, FleetPlan, LocalFleet, steady_port
from lab.scenario import BUILT_IN
from lab.scenario_file import load_scenario
from lab.wire import call_json
from observability.callers import arrive, each, hang_up, place

_RATE_HZ: Final = 24_000
_KEYS_PORT: Final = steady_port()
"""Where the services fetch signing keys: a link to ACS that a story can cut."""
_KEYS: Final = {"ACS_JWKS_URL": f"http://127.0.0.1:{_KEYS_PORT}/calling/keys", "JWKS_MAX_AGE_S": "60"}
_POLICY: Final = """\
targets: {desk: {phone: "+14255559999", ring_s: 5}}
rules: [{name: all, agent: default}]
"""
_CALLERS: Final = 8

SHORT_TOKENS: Final = FleetPlan(relays=2, gateways=2, controls=2, extra={"identity": {"TOKEN_LIFETIME_S": "20"}})
OWN_KEYS: Final = FleetPlan(relays=2, gateways=2, controls=2, extra={CONTROL: _KEYS, GATEWAY: _KEYS})
NO_NOISE: Final = FleetPlan(relays=2, gateways=2, controls=2, extra={"acs": {"NOISE_DBFS": "off"}})
SMALL_QUOTA: Final = FleetPlan(
    relays=2, gateways=2, controls=2, extra={RELAY: {"VOICE_LIVE_CONNECTIONS_PER_MIN": "10"}}
)
TEN_CALLS: Final = FleetPlan(relays=2, gateways=2, controls=2, extra={RELAY: {"RELAY_CAPACITY": "5"}})
WITH_TARGET: Final = FleetPlan(relays=2, gateways=2, controls=2, routing=_POLICY)
ONE_GATEWAY: Final = FleetPlan(relays=2, gateways=1, controls=2)
MIXED: Final = FleetPlan(relays=2, gateways=1, controls=1, profiles="default:\n  greeting:\n    text: Hello.\n")


def tokens_refused(fleet: LocalFleet) -> None:
    """The identity endpoint fails; tokens are valid for 20 s."""
    arrive(fleet, 12)
    call_json("PUT", f"{fleet.url('identity')}/lab/faults", {"status": 500})
    arrive(fleet, 48)


def signing_keys_gone(fleet: LocalFleet) -> None:
    """The key server becomes unreachable, while the cached keys are still valid."""
    link = fleet.net.passage([fleet.ports.acs], port=_KEYS_PORT)
    time.sleep(8)
    arrive(fleet, 12)
    fleet.net.run(link.refuse(True))
    arrive(fleet, 30)


def one_way_audio(fleet: LocalFleet) -> None:
    """ACS sends no audio for seven seconds, three times."""
    with _calling(fleet, _CALLERS):
        for _ in range(3):
            fleet.freeze("acs")
            time.sleep(7)
            fleet.thaw("acs")
            time.sleep(8)


def caller_audio_bad(fleet: LocalFleet) -> None:
    """Half of the callers send digital silence, the others noise at full scale."""
    agent = load_scenario(BUILT_IN["opening-hours"]).agent
    fleet.request("PUT", "voice-live", "/lab/agent", agent.model_dump(mode="json"))
    noise = fleet.folder / "full-scale.wav"
    _write_square(noise, seconds=20)
    ids = [place(fleet, number, audio="silence") for number in range(1, 7)]
    ids += [
        place(fleet, number, audio="script", steps=[{"pause_ms": 2000}, {"play": str(noise.absolute())}])
        for number in range(11, 17)
    ]
    time.sleep(75)
    for lab_id in ids:
        hang_up(fleet, lab_id)


def voice_quota_used(fleet: LocalFleet) -> None:
    """More calls than connections of the quota, some of which lose their sessions and need another one."""
    for number in each(60, 2):
        place(fleet, number)
        if number % 5 == 0:
            for row in fleet.request("GET", "voice-live", "/lab/sessions")["sessions"]:
                if row["state"] == "open":
                    fleet.request("POST", "voice-live", f"/lab/sessions/{row['id']}/drop")


def acs_hangs(fleet: LocalFleet) -> None:
    """ACS does not respond to the answers of many calls."""
    fleet.inject("acs", {"rest": {"answer": {"delay_s": 60}}})
    for number in each(15, 0.2):
        place(fleet, number)
    time.sleep(15)


def almost_full(fleet: LocalFleet) -> None:
    with _calling(fleet, 9):
        time.sleep(20)


def control_cut_off(fleet: LocalFleet) -> None:
    """A replica of call-control loses its connection to Redis, and the routing policy is changed meanwhile."""
    link = fleet.net.passage([fleet.redis_port])
    fleet.extra = {**fleet.extra, CONTROL: {"REDIS_URL": f"redis://127.0.0.1:{link.port}/0"}}
    name = fleet.add_replica(CONTROL)
    fleet.await_ready()
    fleet.net.run(link.silence(True))
    fleet.leave_ingress(name)
    url = f"http://127.0.0.1:{fleet.replica_port(f'{CONTROL}-1')}/api/routing"
    call_json("PUT", url, {"rules": [{"name": "all", "agent": "default"}]}, headers={"If-Match": "*"})
    arrive(fleet, 50)


def half_rolled_out(fleet: LocalFleet) -> None:
    """A roll-out of a new build with other profiles has stopped after one relay."""
    profiles = fleet.folder / "new-profiles.yaml"
    profiles.write_text("default:\n  greeting:\n    text: Good morning.\n")
    settings = {**fleet.extra.get(RELAY, {}), "AGENT_PROFILES_FILE": str(profiles.absolute()), "REVISION": "b" * 7}
    fleet.extra = {**fleet.extra, RELAY: settings}
    fleet.add_replica(RELAY)
    fleet.await_ready()
    arrive(fleet, 30)


def wrong_targets(fleet: LocalFleet) -> None:
    """The number of a target does not exist."""
    fleet.request("PUT", "acs", "/lab/callee", {"outcome": "wrong_number", "after_s": 0.3})
    with _calling(fleet, _CALLERS):
        for row in fleet.request("GET", CONTROL, "/api/calls")["calls"]:
            body = {"action": "transfer", "target": "desk", "mode": "blind"}
            fleet.request("POST", CONTROL, f"/api/calls/{row['call_id']}/actions", body)
            time.sleep(4)


def relays_throttled(fleet: LocalFleet) -> None:
    """Relays get no CPU for 0.15 s at a time, as with a CPU limit that is too low."""
    with _calling(fleet, 4):
        for _ in each(60, 0.37):  # not in step with the sampling of the lag
            for name in fleet.running(RELAY):
                fleet.freeze(name)
            time.sleep(0.15)
            for name in fleet.running(RELAY):
                fleet.thaw(name)


def redis_gone(fleet: LocalFleet) -> None:
    """Redis is down for longer than the media services can store audio for it, and comes back empty."""
    arrive(fleet, 12)
    with _calling(fleet, 14, first=101):
        fleet.kill("redis")
        time.sleep(45)
        fleet.start_redis_again()
        time.sleep(8)


@contextmanager
def _calling(fleet: LocalFleet, count: int, *, first: int = 1) -> Iterator[None]:
    """Calls that have been connected for a few seconds."""
    ids = [place(fleet, number) for number in range(first, first + count)]
    time.sleep(5)
    yield
    for lab_id in ids:
        hang_up(fleet, lab_id)


def _write_square(path: Path, seconds: int) -> None:
    half = _RATE_HZ // 400
    period = (32_767).to_bytes(2, "little", signed=True) * half + (-32_767).to_bytes(2, "little", signed=True) * half
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE_HZ)
        file.writeframes(period * (200 * seconds))
