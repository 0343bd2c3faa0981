"""People in a call: the real call-control with the simulated ACS, from the request to the person's phone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

import httpx
import pytest
import uvicorn
from websockets.asyncio.server import serve

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.entries import ScreeningOver, VoiceReady
from lab.acs.app import create_app
from lab.acs.settings import LAB_ACCESS_KEY
from lab.ports import free_port
from tests.contract.support.acs_stage import MediaServer, settings_for
from tests.support.eventually import eventually
from tests.support.lab_server import running
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import OPERATOR, QUICK, Switchboard, environment, replica, settings_of

ACCOUNT = "28:orgid:cc123456-5678-9012-3456-789012345678"
BILLING = "4:+14255550177"
POLICY = {
    "targets": {"billing": {"phone": BILLING, "ring_s": 20}},
    "resource_accounts": {"reception": {"teams_app": ACCOUNT, "number": "+18005550009"}},
    "on_behalf": "connect",
    "rules": [{"name": "desk", "called": "reception", "redirect": "billing"}, {"name": "rest", "agent": "front-desk"}],
}


@dataclass
class LabAcs:
    connection_string: str


@dataclass
class Exchange:
    board: Switchboard
    lab: httpx.AsyncClient

    async def place(self, to: str, **more: object) -> str:
        reply = await self.lab.post("/lab/calls", json={"from": "+14255550100", "to": to} | more)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["id"])

    async def invited(self, lab_id: str) -> dict[str, Any]:
        """Return the first invitation when it was answered."""

        async def answered() -> dict[str, Any] | None:
            found = (await self.lab.get(f"/lab/calls/{lab_id}")).json()["invitations"]
            return found[0] if found and found[0]["outcome"] == "answered" else None

        return cast(dict[str, Any], await eventually(answered, what="the person answers"))

    async def shown(self, **wanted: object) -> dict[str, Any]:
        """Return the newest call of the API when it has these values."""

        async def found() -> dict[str, Any] | None:
            calls = (await self.board.http.get("/api/calls", headers=OPERATOR)).json()["calls"]
            return calls[0] if calls and all(calls[0][name] == value for name, value in wanted.items()) else None

        return cast(dict[str, Any], await eventually(found, what=f"{wanted}"))


@pytest.fixture
async def exchange(redis_url: str, clients: RedisClients) -> AsyncIterator[Exchange]:
    port, acs_port, media = free_port(), free_port(), MediaServer()
    acs = cast(ScriptedAcs, LabAcs(f"endpoint=http://127.0.0.1:{acs_port}/;accesskey={LAB_ACCESS_KEY}"))
    app = create_app(settings_for(f"http://127.0.0.1:{port}/api/incomingCall"))
    config = uvicorn.Config(
        *(app, "127.0.0.1", acs_port),
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=1,
    )
    async with serve(media.accept, "127.0.0.1", 0, process_request=media.process_request, compression=None) as sockets:
        changes = {
            "BASE_URL": f"http://127.0.0.1:{port}",
            "MEDIA_BASE_URL": f"ws://127.0.0.1:{sockets.sockets[0].getsockname()[1]}",
            "PORT": str(port),
            "ALLOWED_TARGETS": "*",
            "GOODBYE_TIMEOUT_S": "0.3",
            "MEDIA_PATIENCE_S": "60",
        }
        async with (
            replica(settings_of(environment(redis_url, acs, **changes)), QUICK) as address,
            running(config) as lab_address,
            httpx.AsyncClient(base_url=address, timeout=5, trust_env=False) as http,
            httpx.AsyncClient(base_url=f"http://{lab_address}", timeout=10, trust_env=False) as lab,
        ):
            board = Switchboard(acs, clients, http)
            await board.set_policy(**POLICY)
            await lab.put("/lab/people", json={BILLING.removeprefix("4:"): {"after_s": 0.0}})
            yield Exchange(board, lab)


@pytest.mark.parametrize(
    ("more", "rule", "target"),
    [
        ({}, "desk", BILLING),
        ({"onBehalfOfCallee": {"rawId": "4:+14255550199"}}, "on_behalf", "4:+14255550199"),
    ],
)
async def test_a_call_is_answered_and_connected_without_an_agent(
    exchange: Exchange, more: dict[str, object], rule: str, target: str
) -> None:
    lab_id = await exchange.place(ACCOUNT, **more)
    invited = await exchange.invited(lab_id)
    assert (invited["target"], invited["caller_id"]) == (target, None)
    call = await exchange.shown(status="connected", transfer={"action_id": "connect", "stage": "bridged"})
    assert call["route"]["rule"] == rule
    assert [(one["raw_id"], one["state"]) for one in call["participants"]] == [(target, "joined")]
    assert await exchange.board.relay.claim(10) == [], "no agent hears the call"
    await exchange.lab.post(f"/lab/calls/{lab_id}/hangup")
    await exchange.shown(status="ended", end_reason="caller_hung_up")


async def test_an_operator_connects_the_caller_with_context(exchange: Exchange) -> None:
    lab_id = await exchange.place("+18005551212", customContext={"sipHeaders": {"User-To-User": "56a6ec6e"}})

    async def claimed() -> list[Any]:
        return list(await exchange.board.relay.claim(10))

    [claim] = await eventually(claimed, what="the call is offered")
    await exchange.board.inbox.put(VoiceReady(claim.call_id, claim.epoch))
    await exchange.shown(status="connected")
    wanted = {"action": "transfer", "target": "billing", "topic": "Refund", "summary": "Wants 50 % back."}
    reply = await exchange.board.http.post(f"/api/calls/{claim.call_id}/actions", headers=OPERATOR, json=wanted)
    assert reply.status_code == 202, reply.text
    invited = await exchange.invited(lab_id)
    assert (invited["target"], invited["caller_id"], invited["timeout_s"]) == (BILLING, "+18005551212", 20)
    assert invited["delivered"]["sipHeaders"] == {
        "X-MS-Custom-Topic": "Refund",
        "X-MS-Custom-Call": claim.call_id,
        "X-MS-Custom-Summary": "Wants 50 %25 back.",
        "User-To-User": "56a6ec6e",
    }
    action_id = reply.json()["action_id"]
    await exchange.shown(transfer={"action_id": action_id, "stage": "screening"})
    await exchange.board.inbox.put(ScreeningOver(claim.call_id, action_id, "confirmed"))
    call = await exchange.shown(transfer={"action_id": action_id, "stage": "bridged"})
    assert [(one["name"], one["state"]) for one in call["participants"]] == [("billing", "joined")]
    shown = await exchange.board.http.get(f"/api/calls/{claim.call_id}/actions/{action_id}", headers=OPERATOR)
    assert shown.json()["state"] == "done"
