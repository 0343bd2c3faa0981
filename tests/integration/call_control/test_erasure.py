"""`DELETE /api/calls/{call_id}` deletes all data of the call, and late writes do not restore it."""

from __future__ import annotations

from dataclasses import replace

from bridge_common.redis.clients import RedisClients, command
from bridge_common.wire.call_record import PendingCommand, Status
from bridge_common.wire.entries import Notice, Turn
from tests.support.eventually import eventually
from tests.support.scripted_acs import ScriptedAcs
from tests.support.switchboard import OPERATOR, PhoneCall, Switchboard, switchboard

TURN = Turn("caller", "item_1", "My name is Ada.", 6)


async def keys_of(board: Switchboard, call: PhoneCall) -> set[str]:
    """Return each key whose name or content contains the call's id or its caller."""
    found: set[str] = set()
    for name in await command(board.redis, "KEYS", "*"):
        key = name.decode()
        kind = (await command(board.redis, "TYPE", key)).decode()
        read = {"hash": ("HGETALL", key), "string": ("GET", key), "zset": ("ZRANGE", key, 0, -1)}
        content = str(await command(board.redis, *read.get(kind, ("XRANGE", key, "-", "+"))))
        if any(text in key + content for text in (call.call_id, call.caller, call.correlation_id, "Ada")):
            found.add(key)
    return found


async def ended(board: Switchboard) -> PhoneCall:
    call = PhoneCall()
    connection_id = await board.connect(call)
    await board.http.post(f"/api/calls/{call.call_id}/say", json={"text": "Hello."}, headers=OPERATOR)
    await board.store.append_transcript(call.call_id, TURN)
    await board.call_back(call, call.callback("CallDisconnected", connection_id))
    await board.reaches(call, Status.ENDED)
    await eventually(board.idle)
    return call


async def test_an_ended_call_is_erased_with_everything_that_redis_has_of_it(board: Switchboard) -> None:
    call = await ended(board)
    path = f"/api/calls/{call.call_id}"
    names = {"record", "uplink", "downlink", "say", "transcript"}
    assert {getattr(board.keys, name)(call.call_id) for name in names} <= await keys_of(board, call)
    reply = await board.http.delete(path, headers=OPERATOR)
    assert (reply.status_code, reply.content) == (204, b"")
    left = await keys_of(board, call)
    ids = {key for key in left if ":seen:" in key}
    assert len(ids) == 3, "the ids of the events that were delivered, for a day"
    # Only the call's id remains: in the mark that it was erased, and in a wake-up notification.
    tag = board.keys.tag(call.call_id)
    assert left - ids == {board.keys.erased(call.call_id), board.keys.wake(tag)}
    for again in (
        await board.http.get(path, headers=OPERATOR),
        await board.http.get(f"{path}/transcript", headers=OPERATOR),
        await board.http.delete(path, headers=OPERATOR),
    ):
        assert (again.status_code, again.json()["error"]["code"]) == (404, "not_found")
    assert (await board.http.get("/api/calls", headers=OPERATOR)).json() == {"calls": []}


async def test_a_late_relay_or_replica_does_not_bring_it_back(board: Switchboard) -> None:
    call = await ended(board)
    record = await board.store.load(call.call_id)
    assert record is not None
    assert (await board.http.delete(f"/api/calls/{call.call_id}", headers=OPERATOR)).status_code == 204
    await board.store.append_transcript(call.call_id, TURN)
    assert not await board.store.restore(record, "agent-relay-1|7")
    assert not await board.store.create(record)
    assert await board.store.load(call.call_id) is None
    assert await board.store.read_transcript(call.call_id) == []


async def test_a_running_call_is_not_erased(board: Switchboard) -> None:
    call = PhoneCall()
    await board.connect(call)
    reply = await board.http.delete(f"/api/calls/{call.call_id}", headers=OPERATOR)
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "conflict")
    assert "hang it up (POST" in reply.json()["error"]["message"]
    await board.reaches(call, Status.CONNECTED)


async def test_a_call_whose_end_is_still_being_carried_out_is_not_erased(board: Switchboard) -> None:
    call = await ended(board)
    record = await board.store.load(call.call_id)
    assert record is not None
    pending = replace(record, pending=(PendingCommand(99, "HangUp", "{}"),))
    assert await board.store.save(record, pending)
    reply = await board.http.delete(f"/api/calls/{call.call_id}", headers=OPERATOR)
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "conflict")
    assert not await board.store.erase(record), "somebody has changed it since"
    assert await board.store.load(call.call_id) is not None


async def test_retention_is_what_the_settings_say(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> None:
    settings = {"RECORD_RETENTION_S": "5000", "TRANSCRIPT_RETENTION_S": "300"}
    async with switchboard(redis_url, clients, acs, **settings) as board:
        call = await ended(board)
        assert 4900 < await board.redis.ttl(board.keys.record(call.call_id)) <= 5000
        assert 200 < await board.redis.ttl(board.keys.transcript(call.call_id)) <= 300
    async with switchboard(redis_url, clients, acs, TRANSCRIPT_RETENTION_S="0") as board:
        call = await ended(board)
        await board.store.append_transcript(call.call_id, Notice("late", "", 9))
        assert not await board.redis.exists(board.keys.transcript(call.call_id))
        assert await board.store.load(call.call_id) is not None
