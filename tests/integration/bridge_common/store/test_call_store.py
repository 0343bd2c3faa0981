"""Call records and streams on a real server."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from bridge_common.base.errors import OutsideError
from bridge_common.base.ids import call_id_of
from bridge_common.redis.clients import RedisClients, command
from bridge_common.store.call_store import CallStore, Deadlines
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Claim, Leases
from bridge_common.wire.call_record import CallRecord, PendingCommand, Status
from bridge_common.wire.entries import Dtmf, Due, Ended, Notice, Opened
from bridge_common.wire.entry_codec import decode, encode
from bridge_common.wire.keys import ENDED_TTL_S, FINAL_EPOCH, LIVE_TTL_S, Keys
from tests.integration.support.tcp_proxy import TcpProxy

CALL = call_id_of("a")
RECORD = CallRecord(
    call_id=CALL,
    status=Status.RINGING,
    created_ms=1_700_000_000_000,
    caller="4:+14255550100",
    incoming_call_context="opaque",
    pending=(PendingCommand(1, "answer", "é"),),
)


@pytest.fixture
def store(clients: RedisClients, keys: Keys) -> CallStore:
    return CallStore(clients.control, keys)


@pytest.fixture
def shaky_store(shaky_clients: RedisClients, keys: Keys) -> CallStore:
    return CallStore(shaky_clients.control, keys)


async def written(clients: RedisClients, key: str) -> list[tuple[str, object]]:
    stored = await clients.control.execute_command("XRANGE", key, "-", "+")  # type: ignore[no-untyped-call]  # library
    return [(entry_id.decode(), decode(fields[b"e"])) for entry_id, fields in stored]


# -- the record -----------------------------------------------------------------------------------------------------
async def test_a_call_is_created_once(store: CallStore, clients: RedisClients, keys: Keys) -> None:
    assert await store.load(CALL) is None
    assert await store.create(RECORD)
    assert not await store.create(replace(RECORD, caller="somebody else"))
    assert await store.load(CALL) == RECORD
    for stream in (keys.uplink(CALL), keys.downlink(CALL)):
        assert await written(clients, stream) == [("0-1", Opened())]
        assert LIVE_TTL_S - 5 < await clients.control.ttl(stream) <= LIVE_TTL_S


async def test_many_calls_are_loaded_in_one_round_trip(store: CallStore) -> None:
    others = [replace(RECORD, call_id=call_id_of(name)) for name in ("b", "c")]
    for record in (RECORD, *others):
        await store.create(record)
    found = await store.load_many([CALL, call_id_of("nobody"), *(record.call_id for record in others)])
    assert found == {record.call_id: record for record in (RECORD, *others)}
    assert await store.load_many([]) == {}


async def test_loading_many_calls_fails_while_redis_is_unreachable(shaky_store: CallStore, proxy: TcpProxy) -> None:
    proxy.silent = True
    with pytest.raises(OutsideError):
        await shaky_store.load_many([CALL])


async def test_a_call_that_redis_lost_is_restored_with_its_lease(
    store: CallStore, clients: RedisClients, keys: Keys
) -> None:
    leases = Leases(clients.control, keys, "relay-1")
    record = replace(RECORD, created_ms=int(time.time() * 1000), version=7, greeted=True, uplink_epoch=123)
    claim = Claim(CALL, 1_800_000_000_000)
    assert await store.restore(record, leases.owner_text(claim))
    assert await store.load(CALL) == record
    for stream in (keys.uplink(CALL), keys.downlink(CALL)):
        assert await written(clients, stream) == [("0-1", Opened())]
        assert LIVE_TTL_S - 5 < await clients.control.ttl(stream) <= LIVE_TTL_S
    assert await leases.renew([claim]) == []
    assert await leases.claim(1) == [], "the lease is not due"
    assert [found.call_id for found in await store.list_calls()] == [CALL]
    assert await store.restore(replace(record, version=1), leases.owner_text(claim)), "once more, after a lost reply"
    assert not await store.restore(record, Leases(clients.control, keys, "relay-2").owner_text(claim))
    assert await store.load(CALL) == record


async def test_existing_data_is_not_restored(store: CallStore, clients: RedisClients, keys: Keys) -> None:
    ended = replace(RECORD, status=Status.ENDED)
    await store.create(ended)
    assert not await store.restore(RECORD, "relay-1|7")
    assert await store.load(CALL) == ended
    assert await clients.control.exists(keys.owners(keys.tag(CALL))) == 0


async def test_of_many_creators_one_succeeds(store: CallStore) -> None:
    assert sorted(await asyncio.gather(*(store.create(RECORD) for _ in range(20)))) == [False] * 19 + [True]


async def test_a_creation_whose_reply_was_lost_succeeds(
    store: CallStore, shaky_store: CallStore, proxy: TcpProxy
) -> None:
    await shaky_store.load(CALL)
    await shaky_store.create(replace(RECORD, call_id=call_id_of("to load the script")))
    proxy.lose_replies()
    assert await shaky_store.create(RECORD)
    assert proxy.lost_replies == 1
    assert not await store.create(RECORD)


async def test_left_over_streams_do_not_prevent_a_new_call(store: CallStore, clients: RedisClients, keys: Keys) -> None:
    await clients.control.xadd(keys.uplink(CALL), {"e": b"old"}, id="9-9")
    assert await store.create(RECORD)
    assert await written(clients, keys.uplink(CALL)) == [("0-1", Opened())]


async def test_changed_fields_are_saved_and_the_version_grows(store: CallStore) -> None:
    await store.create(RECORD)
    changed = replace(RECORD, status=Status.CONNECTED, connection_id="c1", pending=(), voice_ready=True)
    assert await store.save(RECORD, changed)
    assert await store.load(CALL) == replace(changed, version=1)


async def test_saving_an_old_version_fails(store: CallStore) -> None:
    await store.create(RECORD)
    assert await store.save(RECORD, replace(RECORD, status=Status.CONNECTED))
    assert not await store.save(RECORD, replace(RECORD, status=Status.ENDED))
    loaded = await store.load(CALL)
    assert loaded is not None
    assert loaded.status is Status.CONNECTED


async def test_of_many_savers_one_wins_each_round_and_nothing_is_lost(store: CallStore) -> None:
    await store.create(RECORD)

    async def count_up(times: int) -> None:
        while times:
            old = await store.load(CALL)
            assert old is not None
            times -= await store.save(old, replace(old, timer_seq=old.timer_seq + 1))

    await asyncio.gather(*(count_up(5) for _ in range(8)))
    loaded = await store.load(CALL)
    assert loaded is not None
    assert loaded.timer_seq == loaded.version == 40


async def test_a_save_whose_reply_was_lost_succeeds(store: CallStore, shaky_store: CallStore, proxy: TcpProxy) -> None:
    await shaky_store.create(RECORD)
    first = replace(RECORD, status=Status.ANSWERING, version=1)
    assert await shaky_store.save(RECORD, first)
    proxy.lose_replies()
    assert await shaky_store.save(first, replace(first, status=Status.CONNECTED))
    assert proxy.lost_replies == 1
    loaded = await store.load(CALL)
    assert loaded is not None
    assert (loaded.status, loaded.version) == (Status.CONNECTED, 2)
    assert not await store.save(first, replace(first, status=Status.ENDED))


async def test_a_record_and_its_deadlines_are_saved_together(
    store: CallStore, clients: RedisClients, keys: Keys
) -> None:
    inbox = Inbox(clients.control, clients.blocking, keys, "worker")
    voice, claim, length = (Due(CALL, name, 1) for name in ("voice", "claim", "length"))

    async def timers() -> set[bytes]:
        members: list[bytes] = await command(clients.control, "ZRANGE", keys.timers(keys.tag(CALL)), 0, -1)
        return set(members)

    assert await store.create(RECORD, Deadlines({voice: 60_000, claim: 60_000}))
    assert not await store.create(replace(RECORD, caller="another"), Deadlines({length: 0})), "it exists"
    assert await timers() == {encode(voice), encode(claim)}
    connected = Deadlines({length: 60_000}, cleared=[voice, claim])
    overtaken = replace(RECORD, version=7)
    assert not await store.save(overtaken, replace(overtaken, status=Status.CONNECTED), connected)
    assert await timers() == {encode(voice), encode(claim)}, "nothing was saved"
    assert await store.save(RECORD, replace(RECORD, status=Status.CONNECTED), connected)
    assert await timers() == {encode(length)}
    assert 59 < (await inbox.fire_due_timers()).next_in_s <= 60
    loaded = await store.load(CALL)
    assert loaded is not None
    assert (loaded.status, loaded.version) == (Status.CONNECTED, 1)


async def test_saving_without_changes_writes_nothing(store: CallStore) -> None:
    await store.create(RECORD)
    assert await store.save(RECORD, RECORD)
    assert await store.load(CALL) == RECORD


async def test_saving_does_not_create_a_deleted_call(store: CallStore) -> None:
    assert not await store.save(RECORD, replace(RECORD, status=Status.ENDED))
    assert await store.load(CALL) is None


async def test_saving_does_not_change_fields_of_relays(store: CallStore) -> None:
    await store.create(RECORD)
    grant = await store.attach_media(CALL)
    assert grant is not None
    assert await store.mark_greeted(CALL)
    assert await store.save(RECORD, replace(RECORD, status=Status.CONNECTED, uplink_epoch=1, greeted=False))
    loaded = await store.load(CALL)
    assert loaded is not None
    assert (loaded.uplink_epoch, loaded.greeted) == (grant.epoch, True)


# -- media ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [status for status in Status if status.live])
async def test_attaching_raises_the_epoch_each_time(store: CallStore, status: Status) -> None:
    await store.create(replace(RECORD, status=status))
    epochs = []
    for _ in range(20):
        grant = await store.attach_media(CALL)
        assert grant is not None
        assert grant.record.uplink_epoch == grant.epoch
        epochs.append(grant.epoch)
    assert epochs == sorted(set(epochs))
    assert abs(epochs[0] - time.time() * 1000) < 5000


@pytest.mark.parametrize("status", [status for status in Status if not status.live])
async def test_an_ended_call_accepts_no_media(store: CallStore, status: Status) -> None:
    await store.create(replace(RECORD, status=status))
    assert await store.attach_media(CALL) is None


async def test_an_unknown_call_accepts_no_media(store: CallStore, clients: RedisClients, keys: Keys) -> None:
    assert await store.attach_media(CALL) is None
    assert await clients.control.exists(keys.record(CALL)) == 0


async def test_the_newest_socket_wins(store: CallStore, clients: RedisClients, keys: Keys) -> None:
    await store.create(RECORD)
    older, newer = await store.attach_media(CALL), await store.attach_media(CALL)
    assert older is not None
    assert newer is not None
    await clients.control.xadd(keys.uplink(CALL), {"e": b""}, id=f"{newer.epoch}-1")
    with pytest.raises(Exception, match="equal or smaller"):
        await clients.control.xadd(keys.uplink(CALL), {"e": b""}, id=f"{older.epoch}-999")


async def test_a_new_socket_reads_the_downlink_after_its_last_entry(
    store: CallStore, clients: RedisClients, keys: Keys
) -> None:
    await store.create(RECORD)
    first = await store.attach_media(CALL)
    await clients.control.xadd(keys.downlink(CALL), {"e": b""}, id="5-3")
    second = await store.attach_media(CALL)
    assert first is not None
    assert second is not None
    assert (first.downlink_cursor, second.downlink_cursor) == ("0-1", "5-3")


# -- the end --------------------------------------------------------------------------------------------------------
async def test_ending_fences_every_writer(store: CallStore, clients: RedisClients, keys: Keys) -> None:
    await store.create(RECORD)
    await store.append_transcript(CALL, Notice("greeted", "", 1))
    await clients.control.xadd(keys.uplink(CALL), {"e": encode(Opened())}, id="1700000000000-5")
    await store.end_streams(CALL, "hung up")
    final = (f"{FINAL_EPOCH}-0", Ended("hung up"))
    for stream in (keys.uplink(CALL), keys.downlink(CALL)):
        assert (await written(clients, stream))[-1] == final
        assert 0 < await clients.control.ttl(stream) <= ENDED_TTL_S
        for epoch in (1, 1_700_000_000_001, 2**62):
            with pytest.raises(Exception, match="equal or smaller"):
                await clients.control.xadd(stream, {"e": b""}, id=f"{epoch}-1")
    for key in (keys.record(CALL), keys.transcript(CALL)):
        assert 0 < await clients.control.ttl(key) <= 24 * 3600


async def test_ending_again_adds_nothing(store: CallStore, clients: RedisClients, keys: Keys) -> None:
    await store.create(RECORD)
    await store.end_streams(CALL, "hung up")
    before = await written(clients, keys.uplink(CALL))
    await store.end_streams(CALL, "another reason")
    assert await written(clients, keys.uplink(CALL)) == before


async def test_ending_an_unknown_call_writes_nothing(store: CallStore, clients: RedisClients) -> None:
    await store.end_streams(CALL, "hung up")
    assert await clients.control.dbsize() == 0


# -- list
async def test_the_newest_calls_are_listed_first(clients: RedisClients) -> None:
    keys = Keys(shards=4)
    store = CallStore(clients.control, keys)
    now_ms = int(time.time() * 1000)
    for n in range(30):
        await store.create(CallRecord(call_id=call_id_of(str(n)), status=Status.RINGING, created_ms=now_ms + n))
    listed = await store.list_calls(limit=10)
    assert [record.created_ms - now_ms for record in listed] == list(range(29, 19, -1))


async def test_the_list_skips_expired_and_damaged_calls(store: CallStore, clients: RedisClients, keys: Keys) -> None:
    now_ms = int(time.time() * 1000)
    good, gone, damaged, ancient = (call_id_of(name) for name in ("good", "gone", "damaged", "ancient"))
    for call_id in (good, gone, damaged):
        await store.create(CallRecord(call_id=call_id, status=Status.RINGING, created_ms=now_ms))
    await store.create(CallRecord(call_id=ancient, status=Status.ENDED, created_ms=now_ms - 10 * 24 * 3600 * 1000))
    await clients.control.delete(keys.record(gone))
    await clients.control.hset(keys.record(damaged), "status", "dancing")
    assert [record.call_id for record in await store.list_calls()] == [good]
    assert await clients.control.zscore(keys.calls(keys.tag(ancient)), ancient) is None


async def test_an_unreachable_redis_is_to_be_retried(shaky_store: CallStore, proxy: TcpProxy) -> None:
    proxy.refusing = True
    proxy.cut()
    for attempt in (
        shaky_store.create(RECORD),
        shaky_store.load(CALL),
        shaky_store.attach_media(CALL),
        shaky_store.end_streams(CALL, ""),
        shaky_store.append_transcript(CALL, Notice("a", "", 1)),
    ):
        with pytest.raises(OutsideError) as caught:
            await attempt
        assert caught.value.retry


async def test_a_key_is_deleted_from_the_uplink(store: CallStore, clients: RedisClients, keys: Keys) -> None:
    await store.create(RECORD)
    uplink = keys.uplink(CALL)
    for entry_id, entry in (("1-1", Dtmf("4")), ("1-2", Dtmf("2"))):
        await command(clients.control, "XADD", uplink, entry_id, "e", encode(entry))
    await store.forget_key(CALL, "1-1")
    await store.forget_key(CALL, "1-1")
    assert await written(clients, uplink) == [("0-1", Opened()), ("1-2", Dtmf("2"))]
