"""Actions of a running call through the HTTP API, down to the requests to ACS and the relay."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from bridge_common.redis.clients import command
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import GoodbyeOver, Instruct
from bridge_common.wire.entry_codec import FIELD, decode
from call_control.core.machine.action_limits import MAX_ACTIONS
from tests.support.eventually import eventually
from tests.support.switchboard import OPERATOR, PhoneCall, Switchboard


async def act(board: Switchboard, call: PhoneCall, key: str = "", **body: object) -> httpx.Response:
    headers = OPERATOR | ({"Idempotency-Key": key} if key else {})
    return await board.http.post(f"/api/calls/{call.call_id}/actions", headers=headers, json=body)


async def actions(board: Switchboard, call: PhoneCall) -> list[dict[str, object]]:
    reply = await board.http.get(f"/api/calls/{call.call_id}/actions", headers=OPERATOR)
    found: list[dict[str, object]] = reply.json()["actions"]
    return found


async def instructions(board: Switchboard, call: PhoneCall) -> list[Instruct]:
    key = board.keys.say(call.call_id)
    stored: list[tuple[bytes, dict[bytes, bytes]]] = await command(board.redis, "XRANGE", key, "-", "+")
    entries = [decode(content[FIELD]) for _, content in stored]
    return [entry for entry in entries if isinstance(entry, Instruct)]


async def settled(board: Switchboard, call: PhoneCall, state: str) -> CallRecord:
    async def found() -> CallRecord | None:
        record = await board.store.load(call.call_id)
        return record if record and record.actions and record.actions[-1].state == state else None

    record = await eventually(found, what=f"the action is {state}")
    assert record is not None
    return record


async def test_a_hang_up_asks_for_a_goodbye_first(board: Switchboard) -> None:
    call = PhoneCall()
    await board.connect(call)
    reply = await act(board, call, action="hang_up", reason="spam")
    assert (reply.status_code, reply.json()["state"]) == (202, "accepted")
    record = await settled(board, call, "running")
    assert record.status is Status.CONNECTED
    [asked] = await eventually(lambda: instructions(board, call), what="the relay is instructed")
    assert (asked.what, asked.instruction_id) == ("goodbye", reply.json()["action_id"])
    await board.inbox.put(GoodbyeOver(call.call_id, asked.instruction_id, "heard"))
    record = await board.reaches(call, Status.ENDING)
    assert record.end_reason == "hung_up_by_operator"
    await eventually(lambda: asyncio.sleep(0, board.acs.done["terminate"] == 1), what="ACS hangs up")
    [action] = await actions(board, call)
    assert action["arguments"] == {"reason": "spam"}


async def test_tones_reach_acs_once_for_a_repeated_request(board: Switchboard) -> None:
    call = PhoneCall()
    connection_id = await board.connect(call)
    replies = await asyncio.gather(*[act(board, call, "key-1", action="send_dtmf", tones="12#") for _ in range(5)])
    assert {reply.status_code for reply in replies} == {202}
    assert len({reply.json()["action_id"] for reply in replies}) == 1
    record = await settled(board, call, "running")
    asked = await eventually(lambda: asyncio.sleep(0, board.acs.of("sendDtmfTones")), what="ACS is asked")
    assert asked[0].body["tones"] == ["one", "two", "pound"]
    done = call.callback("SendDtmfTonesCompleted", connection_id, operationContext=record.actions[0].operation)
    await board.call_back(call, done)
    await settled(board, call, "done")
    again = await act(board, call, "key-1", action="send_dtmf", tones="12#")
    assert (again.status_code, again.json()["state"]) == (202, "done")
    assert board.acs.done["sendDtmfTones"] == 1
    one = await board.http.get(f"/api/calls/{call.call_id}/actions/{again.json()['action_id']}", headers=OPERATOR)
    assert one.json() == again.json()


async def test_a_key_names_one_action(board: Switchboard) -> None:
    call = PhoneCall()
    await board.connect(call)
    await act(board, call, "key-1", action="note", text="a")
    await settled(board, call, "done")
    other = await act(board, call, "key-1", action="note", text="b")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")
    assert len(await actions(board, call)) == 1


async def test_a_call_has_a_limit_of_actions_and_forgets_none(board: Switchboard) -> None:
    call = PhoneCall()
    await board.connect(call)
    statuses = [
        (await act(board, call, f"key-{n}", action="note", text=f"{n}")).status_code for n in range(MAX_ACTIONS)
    ]
    assert set(statuses) == {202}

    async def all_recorded() -> bool:
        return len(await actions(board, call)) == MAX_ACTIONS

    await eventually(all_recorded, what="all actions are recorded")
    further = await act(board, call, "further", action="note", text="a")
    assert further.status_code == 409
    assert further.json()["error"]["message"].startswith(f"the call has reached its limit of {MAX_ACTIONS} actions")
    again = await act(board, call, "key-0", action="note", text="0")
    assert (again.status_code, again.json()["state"]) == (202, "done")
    assert (await act(board, call, "key-0", action="note", text="other")).status_code == 409
    assert (await act(board, call, action="hang_up")).status_code == 202


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"{", "the body is not valid JSON"),
        (b"[" * 10_000, "the body is not valid JSON"),
        (b"[]", "the body is not a JSON object"),
        (b'{"action":5}', "`action` is missing or not a string"),
        (b'{"action":"note","text":"a","priority":1}', "unknown argument 'priority'; note has only text"),
        (
            b'{"action":"note","text":"\\ud83d"}',
            "the body contains a lone surrogate; send the complete character",
        ),
        (
            b'{"action":"dance"}',
            (
                "unknown action 'dance'; use hang_up, send_dtmf, note, disposition, transfer, add_participant, "
                "remove_participant, hold, resume, mute, return_to_agent"
            ),
        ),
        (b'{"action":"send_dtmf","tones":"x"}', "tones must be 1 to 18 characters of 0-9, A-D, * and #"),
    ],
)
async def test_bad_requests(board: Switchboard, body: bytes, fault: str) -> None:
    call = PhoneCall()
    await board.connect(call)
    reply = await board.http.post(f"/api/calls/{call.call_id}/actions", headers=OPERATOR, content=body)
    assert (reply.status_code, reply.json()["error"]["message"]) == (400, fault)
    assert await actions(board, call) == []


async def test_the_outcome_of_a_call_can_be_recorded_after_its_end(board: Switchboard) -> None:
    call = PhoneCall()
    connection_id = await board.connect(call)
    await board.call_back(call, call.callback("CallDisconnected", connection_id))
    record = await board.reaches(call, Status.ENDED)
    assert (await act(board, call, action="disposition", text="sale")).status_code == 202
    await settled(board, call, "done")
    reply = await act(board, call, action="send_dtmf", tones="1")
    assert (reply.status_code, reply.json()["error"]["message"]) == (
        409,
        "the call is ended; actions need a connected call",
    )
    await command(board.redis, "HSET", board.keys.record(call.call_id), "ended_ms", record.ended_ms - 3_601_000)
    reply = await act(board, call, action="note", text="late")
    assert (reply.status_code, reply.json()["error"]["message"]) == (
        409,
        "the call ended more than 1 h ago; its record is complete",
    )


async def test_a_target_is_a_name_in_the_policy_in_force(board: Switchboard, caplog: pytest.LogCaptureFixture) -> None:
    call = PhoneCall()
    connection_id = await board.connect(call)
    reply = await act(board, call, action="transfer", target="billing")
    assert (reply.status_code, reply.json()["code"]) == (422, "unknown_target")
    assert reply.json()["detail"] == "the routing policy has no targets"
    await board.set_policy(targets={"billing": {"phone": "+18005550001"}, "anna": {"phone": "+18005550002"}})
    for action in ("transfer", "add_participant"):
        reply = await act(board, call, action=action, target="bill")
        assert reply.status_code == 422
        assert reply.json()["detail"] == "the routing policy has no target 'bill'; the targets are billing, anna"
    reply = await act(board, call, action="transfer", target="+14255550177")
    assert (reply.status_code, reply.json()["detail"]) == (
        400,
        "target must be the name of a target in the routing policy",
    )
    assert await actions(board, call) == []
    caplog.clear()
    assert (await act(board, call, action="add_participant", target="billing")).status_code == 202
    [line] = [vars(one)["bridge_fields"] for one in caplog.records if one.name == "call_control.audit"]
    assert (line["requested"], line["target"]) == ("add_participant", "billing")
    await board.call_back(call, call.callback("CallDisconnected", connection_id))
    await board.reaches(call, Status.ENDED)
    reply = await act(board, call, action="transfer", target="bill")
    assert (reply.status_code, reply.json()["detail"]) == (409, "the call is ended; actions need a connected call")


async def test_calls_that_cannot_act(board: Switchboard) -> None:
    call = PhoneCall()
    assert (await act(board, call, action="note", text="a")).status_code == 404
    await board.ring(call)
    await board.reaches(call, Status.RINGING)
    reply = await act(board, call, action="note", text="a")
    assert (reply.status_code, reply.json()["error"]["message"]) == (
        409,
        "the call is ringing; actions need a connected call",
    )
    assert (await board.http.get(f"/api/calls/{call.call_id}/actions/act_x", headers=OPERATOR)).status_code == 404
    assert (await board.http.post(f"/api/calls/{call.call_id}/actions", json={})).status_code == 401
