"""The media socket of a running call is lost, with the real worker: streaming is restarted only in this case."""

from __future__ import annotations

import asyncio
import time

import pytest

from bridge_common.redis.clients import RedisClients
from bridge_common.store.call_store import MediaGrant
from bridge_common.wire.call_record import Status
from bridge_common.wire.entries import MediaOpen, UplinkMissed
from tests.support.eventually import eventually
from tests.support.scripted_acs import ScriptedAcs, Twist
from tests.support.switchboard import PhoneCall, Switchboard, switchboard

START, STOP = "startMediaStreaming", "stopMediaStreaming"
REFUSED = Twist(400, "8585", "Media streaming was already started.")


async def _talks(board: Switchboard, call: PhoneCall) -> str:
    connection_id = await board.connect(call)
    await _attached(board, call)
    await eventually(board.idle)
    return connection_id


async def _attached(board: Switchboard, call: PhoneCall) -> MediaGrant:
    grant = await board.store.attach_media(call.call_id)
    assert grant is not None
    await board.inbox.put(MediaOpen(call.call_id, grant.epoch))
    return grant


@pytest.mark.parametrize(("event", "within_s"), [("MediaStreamingFailed", 0.4), ("MediaStreamingStopped", 1.6)])
async def test_a_callback_alone_starts_streaming(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs, event: str, within_s: float
) -> None:
    async with switchboard(redis_url, clients, acs) as board:
        call = PhoneCall()
        connection_id = await _talks(board, call)
        told = time.monotonic()
        await board.call_back(call, call.callback(event, connection_id))
        await eventually(lambda: acs.of(START))
        assert time.monotonic() - told < within_s
        assert acs.of(START)[0].connection_id == connection_id
        await _attached(board, call)
        await eventually(board.idle)
        assert len(acs.of(START)) == 1
        assert not acs.of(STOP)
        await board.reaches(call, Status.CONNECTED)


async def test_without_any_callback_the_relay_is_enough_even_where_acs_takes_streaming_for_running(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs
) -> None:
    async with switchboard(redis_url, clients, acs) as board:
        call = PhoneCall()
        await _talks(board, call)
        acs.script(START, REFUSED)
        record = await board.reaches(call, Status.CONNECTED)
        missed = time.monotonic()
        await board.inbox.put(UplinkMissed(call.call_id, record.uplink_epoch))
        await eventually(lambda: len(acs.of(START)) == 2)
        assert time.monotonic() - missed < 1.5
        assert [asked.operation for asked in acs.asked if asked.operation in (START, STOP)] == [START, STOP, START]
        await _attached(board, call)
        await eventually(board.idle)
        await board.reaches(call, Status.CONNECTED)


async def test_a_healthy_socket_that_was_missed_by_mistake_is_not_stopped(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs
) -> None:
    async with switchboard(redis_url, clients, acs) as board:
        call = PhoneCall()
        await _talks(board, call)
        acs.script(START, REFUSED, REFUSED, REFUSED)
        record = await board.reaches(call, Status.CONNECTED)
        await board.inbox.put(UplinkMissed(call.call_id, record.uplink_epoch))
        await eventually(lambda: acs.of(START))
        await board.inbox.put(MediaOpen(call.call_id, record.uplink_epoch))
        await asyncio.sleep(1.2)
        assert len(acs.of(START)) == 1
        assert not acs.of(STOP)


async def test_an_outdated_callback_stops_nothing(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> None:
    async with switchboard(redis_url, clients, acs) as board:
        call = PhoneCall()
        connection_id = await _talks(board, call)
        acs.script(START, REFUSED, REFUSED, REFUSED)
        await board.call_back(call, call.callback("MediaStreamingFailed", connection_id))
        await eventually(lambda: acs.of(START))
        await asyncio.sleep(1.2)
        assert len(acs.of(START)) == 1
        assert not acs.of(STOP)


@pytest.mark.parametrize("agents", ["", "+14255550177"])
async def test_after_the_patience_the_call_is_transferred_or_ends(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs, agents: str
) -> None:
    async with switchboard(redis_url, clients, acs, TRANSFER_TARGET=agents, MEDIA_PATIENCE_S="3") as board:
        call = PhoneCall()
        await _talks(board, call)
        acs.script(START, *[Twist(400, "8500", "not now")] * 20)
        record = await board.reaches(call, Status.CONNECTED)
        missed = time.monotonic()
        await board.inbox.put(UplinkMissed(call.call_id, record.uplink_epoch))
        await eventually(lambda: acs.of("transferToParticipant" if agents else "terminate"))
        assert 2.9 < time.monotonic() - missed < 4.0
        assert 4 <= len(acs.of(START)) <= 6
