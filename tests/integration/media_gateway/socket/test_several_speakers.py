"""Calls with several people: the relay selects whom the agent hears, and no tone disturbs people who talk."""

from __future__ import annotations

import asyncio
import dataclasses

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.call_record import CallRecord, Participant, TransferStage, encode_record
from bridge_common.wire.entries import HangUp, Listen, MediaAttached
from bridge_common.wire.keys import Keys
from media_gateway.relay_watch import RelayWatchTiming
from tests.integration.support.acs_media_peer import CALLER, AcsMediaPeer
from tests.integration.support.gateway_under_test import Gateway, Line, StartGateway, audio_of, level
from tests.support.eventually import eventually

PERSON, USER, OURS = "4:+14255550177", "8:acs:resource_user", "8:acs:resource_bot"
SOON = RelayWatchTiming(look_s=0.02, unleased_s=0.1)


async def speak(acs: AcsMediaPeer, frames: int, levels: dict[str, int]) -> None:
    """Send frames of a constant level for each participant, in real time."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    for number in range(frames):
        for participant, value in levels.items():
            await acs.frame(value.to_bytes(2, "little") * 480, participant=participant)
        await asyncio.sleep(max(0.0, begin + (number + 1) * 0.02 - loop.time()))


def heard(line: Line) -> list[int]:
    """Return the level of each frame of the uplink."""
    return [int.from_bytes(frame[:2], "little") for frame in audio_of(line)]


async def change(clients: RedisClients, keys: Keys, line: Line, **changes: object) -> CallRecord:
    record = await line.store.load(line.call_id)
    assert record is not None
    record = dataclasses.replace(record, **changes)  # type: ignore[arg-type]
    await clients.control.hset(keys.record(line.call_id), mapping=dict(encode_record(record).items()))
    return record


async def test_three_people_who_speak_at_once_are_added(gateway: Gateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await eventually(lambda: line.said(MediaAttached))
        line.downlink.append(Listen("all"))
        await speak(acs, 5, {CALLER: 1})
        await eventually(lambda: heard(line) == [1] * 5)
        await speak(acs, 50, {CALLER: 1, PERSON: 20, "4:+14255550178": 300, OURS: 4000})
        await eventually(lambda: len(heard(line)) >= 54)
        assert heard(line).count(321) >= 44
        assert max(heard(line)) == 321
        line.downlink.append(Listen("caller"))

        async def only_the_caller() -> bool:
            before = len(heard(line))
            await speak(acs, 10, {CALLER: 1, PERSON: 20})
            return set(heard(line)[before:]) == {1}

        await eventually(only_the_caller)


async def test_silence_is_written_while_nobody_has_frames(gateway: Gateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await speak(acs, 2, {CALLER: 1, PERSON: 20})
        await eventually(lambda: len(heard(line)) >= 25)
        assert set(heard(line)[2:]) <= {0, 1}


async def test_a_person_who_uses_acs_is_heard_when_the_record_names_them(
    start_gateway: StartGateway, line: Line, clients: RedisClients, keys: Keys
) -> None:
    async with start_gateway(watch=SOON) as gateway, gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await eventually(lambda: line.said(MediaAttached))
        line.downlink.append(Listen("all"))
        await speak(acs, 10, {CALLER: 1, USER: 20})
        assert 21 not in heard(line)
        await change(clients, keys, line, participants=(Participant(USER, state="joined"),))

        async def heard_both() -> bool:
            await speak(acs, 10, {CALLER: 1, USER: 20})
            return 21 in heard(line)

        await eventually(heard_both)


async def test_a_call_without_a_relay_has_a_hold_tone_until_people_talk(
    start_gateway: StartGateway, line: Line, clients: RedisClients, keys: Keys
) -> None:
    async with start_gateway(watch=SOON) as gateway, gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await eventually(lambda: level(acs.pcm) > 50)
        await change(clients, keys, line, transfer_stage=TransferStage.BRIDGED)
        await _quiet(acs)
        await change(clients, keys, line, transfer_stage=TransferStage.NONE)
        sent = len(acs.pcm)
        await eventually(lambda: level(acs.pcm[sent:]) > 50)
        line.downlink.append(Listen("caller", bridged=True))
        await change(clients, keys, line, transfer_stage=TransferStage.BRIDGED)
        await _quiet(acs)


async def test_a_new_socket_of_people_who_talk_has_no_tone_and_no_apology(
    start_gateway: StartGateway, line: Line, clients: RedisClients, keys: Keys
) -> None:
    await change(clients, keys, line, transfer_stage=TransferStage.BRIDGED)
    async with start_gateway(watch=SOON) as gateway, gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await eventually(lambda: line.said(MediaAttached))
        await speak(acs, 25, {CALLER: 1})
        await line.store.end_streams(line.call_id, "voice lost", apologize=True)
        await line.await_told(HangUp)
        assert await acs.closed() == 1000
        assert acs.pcm == b""


async def _quiet(acs: AcsMediaPeer) -> None:
    """Wait until no more audio arrives."""

    async def is_quiet() -> bool:
        before = len(acs.heard)
        await asyncio.sleep(0.15)
        return len(acs.heard) == before

    await eventually(is_quiet)
