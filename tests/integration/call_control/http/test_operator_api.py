"""The operator API as docs/api.md describes it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge_common.redis.clients import RedisClients
from bridge_common.store.call_store import CallStore
from bridge_common.wire.call_record import Participant, Status, TransferStage
from bridge_common.wire.entries import Notice, Turn
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import API_KEY, OPERATOR, PhoneCall, Switchboard, switchboard


async def test_calls_and_one_call(board: Switchboard) -> None:
    first, second = PhoneCall(), PhoneCall()
    for call in (first, second):
        await board.ring(call)
        await board.reaches(call, Status.RINGING)
    calls = (await board.http.get("/api/calls", headers=OPERATOR)).json()["calls"]
    assert {call["call_id"] for call in calls} == {first.call_id, second.call_id}
    assert len((await board.http.get("/api/calls?limit=1", headers=OPERATOR)).json()["calls"]) == 1
    one = (await board.http.get(f"/api/calls/{first.call_id}", headers={"X-Api-Key": API_KEY})).json()
    assert one in calls
    assert (one["status"], one["caller"], one["callee"]) == ("ringing", first.caller, first.callee)
    assert "incoming_call_context" not in one


async def test_what_came_with_a_call_is_shown(board: Switchboard) -> None:
    call, plain = PhoneCall(), PhoneCall()
    context = {"sipHeaders": {"User-To-User": "abc;encoding=hex\r\n"}, "voipHeaders": {"k": 7}}
    events = [call.incoming("", callerDisplayName="Ada\x00 L.", customContext=context), plain.incoming()]
    await board.http.post("/api/incomingCall", json=events)
    for one in (call, plain):
        await board.reaches(one, Status.RINGING)
    shown, empty = [
        (await board.http.get(f"/api/calls/{one.call_id}", headers=OPERATOR)).json() for one in (call, plain)
    ]
    assert (shown["caller_display_name"], shown["on_behalf_of"]) == ("Ada L.", "")
    assert shown["custom_context"] == {
        "sip_headers": {"User-To-User": "abc;encoding=hex"},
        "voip_headers": {"k": "7"},
    }
    assert empty["caller_display_name"] == ""
    assert empty["custom_context"] == {"sip_headers": {}, "voip_headers": {}}


async def test_people_in_the_call_are_shown(board: Switchboard) -> None:
    call = PhoneCall()
    await board.connect(call)
    before = await board.store.load(call.call_id)
    assert before is not None
    shown = (await board.http.get(f"/api/calls/{call.call_id}", headers=OPERATOR)).json()
    assert (shown["transfer"], shown["participants"]) == ({"action_id": "", "stage": ""}, [])
    bob = Participant("4:+14255550177", "billing", "joined", "act_1", "invitation", 5, on_hold=True)
    after = replace(
        before, participants=(bob,), transfer="act_1", transfer_stage=TransferStage.BRIDGED, caller_muted=True
    )
    assert await board.store.save(before, after)
    shown = (await board.http.get("/api/calls", headers=OPERATOR)).json()["calls"][0]
    assert shown["transfer"] == {"action_id": "act_1", "stage": "bridged"}
    assert (shown["caller_on_hold"], shown["caller_muted"]) == (False, True)
    assert shown["participants"] == [
        {
            "raw_id": "4:+14255550177",
            "name": "billing",
            "state": "joined",
            "action_id": "act_1",
            "at_ms": 5,
            "on_hold": True,
            "muted": False,
        }
    ]


async def test_transcript(board: Switchboard) -> None:
    call = PhoneCall()
    await board.ring(call)
    await board.reaches(call, Status.RINGING)
    await board.store.append_transcript(call.call_id, Notice("greeting", "", 5))
    await board.store.append_transcript(call.call_id, Turn("agent", "item_1", "Hello.", 6, heard_ms=400))
    reply = await board.http.get(f"/api/calls/{call.call_id}/transcript", headers=OPERATOR)
    notice, turn = reply.json()["entries"]
    assert (notice["kind"], notice["what"], notice["at_ms"]) == ("notice", "greeting", 5)
    assert (turn["kind"], turn["role"], turn["text"], turn["heard_ms"]) == ("turn", "agent", "Hello.", 400)
    assert turn["id"]


@pytest.mark.parametrize("path", ["/api/calls/{id}", "/api/calls/{id}/transcript"])
@pytest.mark.parametrize("call_id", ["call_0123456789abcdef01234567", "call_x", "%2e%2e"])
async def test_unknown_calls(board: Switchboard, path: str, call_id: str) -> None:
    reply = await board.http.get(path.replace("{id}", call_id), headers=OPERATOR)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api/elsewhere", None),
        ("PUT", "/api/calls", "GET, HEAD"),
        ("PATCH", "/api/calls/call_0123456789abcdef01234567", "DELETE, GET, HEAD"),
        ("POST", "/api/routing", "DELETE, GET, HEAD, PUT"),
        ("GET", "/api/incomingCall", "OPTIONS, POST"),
    ],
)
async def test_other_paths_and_methods(board: Switchboard, method: str, path: str, allowed: str | None) -> None:
    reply = await board.http.request(method, path, headers=OPERATOR)
    code = (405, "method_not_allowed") if allowed else (404, "not_found")
    assert (reply.status_code, reply.json()["error"]["code"]) == code
    assert reply.headers.get("allow") == allowed


async def test_a_fault_of_ours_is_an_answer_too(board: Switchboard, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(CallStore, "list_calls", broken)
    reply = await board.http.get("/api/calls", headers=OPERATOR)
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "internal")
    assert "secret" not in reply.text


async def test_unknown_calls_cannot_be_hung_up(board: Switchboard) -> None:
    reply = await board.http.post(f"/api/calls/{PhoneCall().call_id}/hangup", headers=OPERATOR)
    assert reply.status_code == 404
    assert await board.entries() == 0


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "9" * 5000, "٣"])
async def test_bad_limits(board: Switchboard, limit: str) -> None:
    reply = await board.http.get("/api/calls", params={"limit": limit}, headers=OPERATOR)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "bad_request")


async def test_keys(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> None:
    async with switchboard(redis_url, clients, acs, API_KEYS="new-key,old-key") as board:
        for key in ("new-key", "old-key"):
            assert (await board.http.get("/api/calls", headers={"X-Api-Key": key})).status_code == 200
            assert (await board.http.get("/api/calls", headers={"Authorization": f"bearer {key}"})).status_code == 200
        for bad in ({}, {"X-Api-Key": "other"}, {"Authorization": "Basic new-key"}, {"Authorization": "new-key"}):
            for path in ("/api/calls", f"/api/calls/{PhoneCall().call_id}"):
                reply = await board.http.get(path, headers=bad)
                assert (reply.status_code, reply.json()["error"]["code"]) == (401, "unauthorized")
    async with switchboard(redis_url, clients, acs, API_KEYS="") as board:
        reply = await board.http.get("/api/calls", headers={"X-Api-Key": ""})
        assert (reply.status_code, reply.json()["error"]["code"]) == (403, "forbidden")
        assert "API_KEYS" in reply.json()["error"]["message"]
