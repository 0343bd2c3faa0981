"""The fleet as operators and autoscalers see it."""

from __future__ import annotations

import logging

import pytest

from bridge_common.redis.clients import RedisClients
from bridge_common.store.fleet import DEAD_AFTER_MS, Fleet
from bridge_common.wire.call_record import Status
from tests.support.eventually import eventually
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import OPERATOR, PhoneCall, Switchboard, switchboard


async def test_processes_and_demand(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> None:
    async with switchboard(redis_url, clients, acs, SCALE_BUFFER_CALLS="2", SCALE_BUFFER_PERCENT="50") as board:
        relay = Fleet(clients.control, "relay-1", "agent-relay", host="relay-pod")
        gateway = Fleet(clients.control, "gateway-1", "media-gateway")
        await gateway.beat(capacity=100, active=0, draining=True)
        await relay.beat(capacity=40, active=0)
        calls = [PhoneCall() for _ in range(5)]
        for call in calls:
            await board.ring(call)
            await board.reaches(call, Status.RINGING)

        async def offered() -> bool:
            await relay.beat(capacity=40, active=3)
            return (await demand(board, "agent-relay"))["ringing"] == 2

        await eventually(offered, what="five calls, of which a relay counts three")
        shown = (await board.http.get("/api/fleet", headers=OPERATOR)).json()
        assert shown["kinds"]["agent-relay"] == {
            "calls": 3, "ringing": 2, "buffer": 3, "demand": 8, "capacity": 40, "live": 1, "draining": 0,
        }  # fmt: skip
        assert shown["kinds"]["call-control"]["demand"] == 5
        by_name = {process["name"]: process for process in shown["processes"]}
        assert by_name["relay-1"] == {
            "name": "relay-1", "kind": "agent-relay", "version": "0.1.0", "host": "relay-pod", "capacity": 40,
            "calls": 3, "draining": False,
        }  # fmt: skip
        assert {process["kind"] for process in shown["processes"]} >= {"call-control", "agent-relay"}


async def demand(board: Switchboard, kind: str) -> dict[str, int]:
    reply = await board.http.get(f"/api/fleet/{kind}", headers=OPERATOR)
    assert reply.status_code == 200, reply.text
    found: dict[str, int] = reply.json()
    return found


async def test_the_demand_remains_when_a_process_has_died(board: Switchboard, clients: RedisClients) -> None:
    """Its calls are no longer counted a second later, and still need a process."""
    calls = [PhoneCall() for _ in range(3)]
    for call in calls:
        await board.ring(call)
        await board.reaches(call, Status.RINGING)
    relay = Fleet(clients.control, "relay-1", "agent-relay")

    async def counted() -> bool:
        await relay.beat(capacity=40, active=3)
        return await demand(board, "agent-relay") == {
            "calls": 3, "ringing": 0, "buffer": 10, "demand": 13, "capacity": 40, "live": 1, "draining": 0,
        }  # fmt: skip

    await eventually(counted)

    async def dead() -> bool:
        return (await demand(board, "agent-relay"))["live"] == 0

    await eventually(dead, within_s=DEAD_AFTER_MS / 1000 + 5)
    after = await demand(board, "agent-relay")
    assert (after["calls"], after["ringing"], after["demand"]) == (0, 3, 13)


@pytest.mark.parametrize("path", ["/api/fleet", "/api/fleet/agent-relay"])
async def test_strangers_see_nothing(board: Switchboard, path: str) -> None:
    assert (await board.http.get(path)).status_code == 401


async def test_an_unknown_kind_is_404(board: Switchboard) -> None:
    reply = await board.http.get("/api/fleet/redis", headers=OPERATOR)
    assert reply.status_code == 404
    assert reply.json()["detail"] == 'unknown kind "redis"; use call-control, media-gateway, agent-relay'


async def test_polls_of_an_autoscaler_are_not_in_the_audit_log(
    board: Switchboard, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "call_control.audit")
    await demand(board, "media-gateway")
    assert caplog.messages == []
    await board.http.get("/api/fleet", headers=OPERATOR)
    assert "operator request" in caplog.messages


@pytest.mark.parametrize("header", [{"X-API-KEY": OPERATOR["Authorization"].removeprefix("Bearer ")}, OPERATOR])
async def test_both_forms_in_which_keda_sends_a_key(board: Switchboard, header: dict[str, str]) -> None:
    """`authMode: apiKey` with its default header, and `authMode: bearer`."""
    assert (await board.http.get("/api/fleet/media-gateway", headers=header)).status_code == 200
