"""Access to the operator API: API keys, the limit for wrong keys, and the audit log."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.call_record import Status
from call_control.app import ApiTiming
from call_control.core.wrong_keys import PER_SOURCE
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import OPERATOR, PhoneCall, Switchboard, switchboard

WRONG = {"X-Api-Key": "guessed-key-of-a-stranger"}
POLICY = {"human_agents": {"phone": "+18005550000"}, "rules": [{"name": "rest", "redirect": "human_agents"}]}


def audited(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(record)["bridge_fields"] for record in caplog.records if record.name == "call_control.audit"]


@pytest.fixture
def quiet_log() -> Iterator[None]:
    """Set the root logger to ERROR, as LOG_LEVEL=ERROR does."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    yield
    root.setLevel(level)


@pytest.mark.usefixtures("quiet_log")
async def test_every_request_has_a_line(board: Switchboard, caplog: pytest.LogCaptureFixture) -> None:
    call = PhoneCall()
    await board.ring(call)
    await board.reaches(call, Status.RINGING)
    one = f"/api/calls/{call.call_id}"
    anna = OPERATOR | {"X-Operator": "anna"}
    await board.http.get("/api/calls", headers=anna)
    await board.http.get(one, headers=OPERATOR)
    await board.http.get(f"{one}/transcript", headers=OPERATOR)
    await board.http.post(f"{one}/say", json={"text": "Hello."}, headers=OPERATOR)
    await board.http.post(f"{one}/hangup", headers=OPERATOR)
    await board.http.get("/api/routing", headers=OPERATOR)
    await board.http.put("/api/routing", json=POLICY, headers=OPERATOR | {"If-Match": "*"})
    await board.http.put("/api/routing/kill_switch", content=b"true", headers=OPERATOR)
    await board.http.delete("/api/routing", headers=OPERATOR)
    await board.http.get("/api/calls/call_x", headers=OPERATOR)
    lines = audited(caplog)
    assert [(line["action"], line["status"], line["result"]) for line in lines] == [
        ("GET /api/calls", 200, "ok"),
        ("GET /api/calls/{call_id}", 200, "ok"),
        ("GET /api/calls/{call_id}/transcript", 200, "ok"),
        ("POST /api/calls/{call_id}/say", 202, "ok"),
        ("POST /api/calls/{call_id}/hangup", 202, "ok"),
        ("GET /api/routing", 200, "ok"),
        ("PUT /api/routing", 200, "ok"),
        ("PUT /api/routing/kill_switch", 200, "ok"),
        ("DELETE /api/routing", 428, "precondition_required"),
        ("GET /api/calls/{call_id}", 404, "not_found"),
    ]
    assert lines[0]["by"] == "operator anna (API key 1)"
    assert lines[0]["calls"] == 1
    assert lines[0]["source"] == "127.0.0.1"
    assert {line["by"] for line in lines[1:]} == {"operator (API key 1)"}
    assert [line["call_id"] for line in lines[1:5]] == [call.call_id] * 4
    assert lines[3]["say_id"].startswith("say_")
    assert (lines[6]["version"], lines[7]["version"], lines[7]["on"]) == (1, 2, True)
    assert lines[9]["call_id"] == "", "an invalid id is not logged"
    assert "request refused" not in caplog.messages, "one line for each request"


async def test_a_client_cannot_choose_its_source_or_forge_a_name(
    board: Switchboard, caplog: pytest.LogCaptureFixture
) -> None:
    await board.http.get("/api/calls", headers=OPERATOR | {"X-Forwarded-For": "192.0.2.1"})
    reply = await board.http.get("/api/calls", headers=OPERATOR | {"X-Operator": "anna, (API key 2)"})
    assert reply.status_code == 400
    good, bad = audited(caplog)
    assert good["source"] == "127.0.0.1"
    assert (bad["by"], bad["status"]) == ("operator (API key 1)", 400)


async def test_a_wrong_key_is_answered_late(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs, caplog: pytest.LogCaptureFixture
) -> None:
    async with switchboard(redis_url, clients, acs, ApiTiming(wrong_key_delay_s=0.3)) as board:
        began = time.monotonic()
        for headers in (WRONG, {}):
            reply = await board.http.get(f"/api/calls/{PhoneCall().call_id}", headers=headers)
            assert (reply.status_code, reply.json()["error"]["code"]) == (401, "unauthorized")
        assert time.monotonic() - began >= 0.6
    line = audited(caplog)[0]
    assert (line["by"], line["status"], line["result"]) == ("unknown", 401, "unauthorized")


async def test_a_flood_of_wrong_keys_locks_out_no_operator(
    board: Switchboard, caplog: pytest.LogCaptureFixture
) -> None:
    async def guess() -> int:
        return (await board.http.get("/api/calls", headers=WRONG)).status_code

    statuses = await asyncio.gather(*(guess() for _ in range(PER_SOURCE + 30)))
    assert sorted(statuses) == [401] * PER_SOURCE + [429] * 30
    limited = await board.http.get("/api/calls", headers=WRONG)
    assert (limited.json()["error"]["code"], limited.headers["retry-after"]) == ("too_many_requests", "6")
    assert (await board.http.get("/api/calls", headers=OPERATOR)).status_code == 200, "from the same address"
    refused = [line for line in audited(caplog) if line["by"] == "unknown"]
    assert len(refused) == PER_SOURCE
    assert caplog.messages.count("too many wrong API keys; further ones are not logged") == 1


async def test_a_closed_api_answers_403(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs, caplog: pytest.LogCaptureFixture
) -> None:
    async with switchboard(redis_url, clients, acs, API_KEYS="") as board:
        for _ in range(PER_SOURCE + 1):
            reply = await board.http.get("/api/calls", headers=WRONG)
            assert (reply.status_code, reply.json()["error"]["code"]) == (403, "forbidden")
    assert len(audited(caplog)) == PER_SOURCE
