"""A full gateway refuses media sockets, and the calls get their media at another one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bridge_common.base.ids import call_id_of
from lab.chaos.local_fleet import CONTROL, GATEWAY, FleetPlan, LocalFleet, running_fleet
from lab.wire import Json, call_json
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(180)
CAPACITY = 4
FORMS = ("reported", "early", "redialed", "silent")
"""Possible reactions of ACS to a media socket that is refused; none is documented."""


def place(fleet: LocalFleet, number: int, form: str = "reported") -> str:
    call = {"from": f"+1425555{number:04d}", "audio": "marks", "mark": number, "forms": {"refused_media": form}}
    placed: Json = call_json("POST", f"{fleet.url('acs')}/lab/calls", call)
    return str(placed["id"])


def phone(fleet: LocalFleet, lab_id: str) -> Json:
    found: Json = call_json("GET", f"{fleet.url('acs')}/lab/calls/{lab_id}")
    return found


def times(found: Json, event: str) -> list[float]:
    return [float(row["t"]) for row in found["timeline"] if row["event"] == event]


def talks(fleet: LocalFleet, lab_id: str) -> bool:
    found = phone(fleet, lab_id)
    return bool(found["state"] == "connected" and found["counters"].get("frames_heard", 0) > 0)


def readiness(fleet: LocalFleet, name: str) -> Json:
    found: Json = call_json("GET", f"http://127.0.0.1:{fleet.replica_port(name)}/readyz")
    return found


def record(fleet: LocalFleet, lab_id: str) -> Json:
    call_id = call_id_of(str(phone(fleet, lab_id)["correlation_id"]))
    found: Json = call_json("GET", f"{fleet.url(CONTROL)}/api/calls/{call_id}")
    return found


async def test_calls_get_their_media_at_the_gateway_with_room_or_end_with_a_reason(tmp_path: Path) -> None:
    extra = {GATEWAY: {"GATEWAY_CAPACITY": str(CAPACITY)}, CONTROL: {"MEDIA_PATIENCE_S": "10"}}
    with running_fleet(FleetPlan(relays=1, gateways=2, controls=1, extra=extra), tmp_path) as fleet:
        full, empty = f"{GATEWAY}-1", f"{GATEWAY}-2"
        ingress = fleet.ingresses[GATEWAY]
        ingress.targets = [fleet.replica_port(full)]
        first = [place(fleet, number) for number in range(CAPACITY)]
        await eventually(lambda: all(talks(fleet, one) for one in first), within_s=30)
        assert readiness(fleet, full) | {"redis_answered_s_ago": 0} == {
            "status": "ready", "degraded": "at capacity", "redis_answered_s_ago": 0,
        }  # fmt: skip

        # The ingress picks the full gateway first, then each of the two in turn.
        moved = [place(fleet, 100 + number, form) for number, form in enumerate(FORMS)]
        await eventually(lambda: all(times(phone(fleet, one), "media_refused") for one in moved), within_s=20)
        ingress.targets = [fleet.replica_port(full), fleet.replica_port(empty)]
        await eventually(lambda: all(talks(fleet, one) for one in moved), within_s=30)
        assert fleet.active_calls(full) == fleet.active_calls(empty) == CAPACITY
        assert all(talks(fleet, one) for one in first), "running calls are not affected"

        # Now both are full: no gateway accepts the call.
        lost = [place(fleet, 200 + number, form) for number, form in enumerate(FORMS)]
        began = time.monotonic()
        await eventually(lambda: all(record(fleet, one)["status"] == "ended" for one in lost), within_s=40)
        assert [record(fleet, one)["end_reason"] for one in lost] == ["media_lost"] * len(FORMS)
        assert time.monotonic() - began < 30
        assert [phone(fleet, one)["state"] for one in lost] == ["ended"] * len(FORMS)
        assert all(talks(fleet, one) for one in [*first, *moved])
