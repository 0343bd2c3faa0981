"""Without a voice session or a relay, the caller hears the apology or the hold tone."""

from __future__ import annotations

import asyncio
import contextlib
import wave
from pathlib import Path

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from bridge_common.redis.clients import RedisClients
from bridge_common.store.leases import Claim, Leases
from bridge_common.wire.entries import Audio, HangUp, Hold, MediaAttached, MediaLost, VoiceLost
from bridge_common.wire.keys import Keys
from media_gateway.recordings import NONE
from media_gateway.relay_watch import RelayWatchTiming
from tests.integration.support.gateway_under_test import Line, StartGateway
from tests.support.eventually import eventually

SORRY_S = 0.6


@pytest.fixture
def sorry(tmp_path: Path) -> str:
    """A recording that is louder than all other audio in these tests."""
    path = tmp_path / "sorry.wav"
    n = np.arange(int(SORRY_S * 24_000))
    with wave.open(str(path), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(24_000)
        recording.writeframes((20_000 * np.sin(2 * np.pi * 300 * n / 24_000)).astype("<i2").tobytes())
    return str(path)


def _loud_s(pcm: bytes) -> float:
    samples = np.abs(np.frombuffer(pcm, "<i2").astype(float))
    frames = samples[: len(samples) // 480 * 480].reshape(-1, 480).max(axis=1) if len(samples) else samples
    return float((frames > 10_000).sum()) * 0.02


async def test_a_caller_without_a_voice_is_told_that_we_are_sorry(
    start_gateway: StartGateway, line: Line, sorry: str
) -> None:
    async with start_gateway(apology_audio=sorry) as gateway, gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await eventually(lambda: line.said(MediaAttached))
        line.downlink.append(Hold(on=True))
        line.downlink.append(Audio("item_1", bytes(48_000)))
        await line.store.end_streams(line.call_id, "voice_lost", apologize=True)

        async def asked() -> list[object]:
            with contextlib.suppress(ConnectionClosed):  # closed after the apology
                await acs.frame(bytes(960))
            return list(await line.told(HangUp))

        assert await eventually(asked) == [HangUp(line.call_id, "media-gateway", "apology")]
        assert _loud_s(acs.pcm) == pytest.approx(SORRY_S, abs=0.05), "it was sent and heard completely"
        assert await acs.closed() == 1000
    assert not await line.told(MediaLost)


async def test_a_profile_has_its_own_apology(
    start_gateway: StartGateway, line: Line, clients: RedisClients, sorry: str
) -> None:
    profile, folder = Path(sorry).stem, Path(sorry).parent
    await clients.control.hset(Keys().record(line.call_id), "profile", profile)
    async with start_gateway(apology_audio=str(folder)) as gateway, gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await eventually(lambda: line.said(MediaAttached))
        await line.store.end_streams(line.call_id, "voice_lost", apologize=True)

        async def asked() -> list[object]:
            with contextlib.suppress(ConnectionClosed):  # closed after the apology
                await acs.frame(bytes(960))
            return list(await line.told(HangUp))

        await eventually(asked)
        assert _loud_s(acs.pcm) == pytest.approx(SORRY_S, abs=0.05)


async def test_frames_that_the_ended_stream_refuses_do_not_cut_it_short(
    start_gateway: StartGateway, line: Line, sorry: str
) -> None:
    """The frame may be refused before the end of the call is known."""
    async with start_gateway(apology_audio=sorry) as gateway, gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await eventually(lambda: line.said(MediaAttached))
        context = gateway.service.context
        context.reader.remove(context.keys.downlink(line.call_id))
        await line.store.end_streams(line.call_id, "voice_lost", apologize=True)
        await acs.frame(bytes(960))
        await eventually(lambda: line.told(HangUp))
        assert _loud_s(acs.pcm) == pytest.approx(SORRY_S, abs=0.05)


async def test_an_apology_is_heard_to_its_end_by_a_caller_who_still_hears_what_was_before(
    start_gateway: StartGateway, line: Line, sorry: str
) -> None:
    """ACS still plays a second of speech, so it plays the apology a second later."""
    speech = (2_000 * np.sin(np.arange(3 * 24_000) / 10)).astype("<i2").tobytes()
    async with start_gateway(apology_audio=sorry, playout_lead_ms=1000) as gateway, gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await eventually(lambda: line.said(MediaAttached))
        line.downlink.append(Audio("item_1", speech))
        await eventually(lambda: len(acs.pcm) >= 0.9 * 48_000)
        await line.store.end_streams(line.call_id, "voice_lost", apologize=True)
        assert await acs.closed() == 1000
        heard_s = len(acs.pcm) / 48_000
        assert _loud_s(acs.pcm) == pytest.approx(SORRY_S, abs=0.05)
        assert acs.closed_at - acs.heard_at[0] > heard_s, "the apology follows the speech without a gap"


async def test_who_hangs_up_meanwhile_need_not_listen(start_gateway: StartGateway, line: Line, sorry: str) -> None:
    async with start_gateway(apology_audio=sorry) as gateway:
        async with gateway.dial(line.call_id) as acs:
            await acs.metadata(24_000)
            await eventually(lambda: line.said(MediaAttached))
            await line.store.end_streams(line.call_id, "voice_lost", apologize=True)
            await eventually(lambda: _loud_s(acs.pcm) > 0.05)
        await eventually(lambda: line.told(HangUp))


async def test_without_an_apology_the_call_ends_at_once(start_gateway: StartGateway, line: Line) -> None:
    async with start_gateway(apology_audio=NONE) as gateway, gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await eventually(lambda: line.said(MediaAttached))
        await line.store.end_streams(line.call_id, "voice_lost", apologize=True)
        assert await acs.closed() == 1000
        await eventually(lambda: line.told(HangUp))


@pytest.fixture
async def claim(clients: RedisClients, keys: Keys, line: Line) -> Claim:
    leases = Leases(clients.control, keys, "relay-1", lease_ms=300)
    await leases.offer(line.call_id)
    [claim] = await leases.claim(1)
    return claim


async def test_a_call_whose_relay_is_gone_hears_the_hold_tone_until_another_has_it(
    start_gateway: StartGateway, line: Line, claim: Claim, clients: RedisClients, keys: Keys
) -> None:
    async with start_gateway() as gateway, gateway.dial(line.call_id) as acs:
        await acs.metadata(24_000)
        await eventually(lambda: np.abs(np.frombuffer(acs.pcm, "<i2")).max(initial=0) > 200, what="the tone")
        other = Leases(clients.control, keys, "relay-2", lease_ms=60_000)
        assert [one.call_id for one in await other.claim(1)] == [line.call_id]

        async def quiet() -> bool:
            before = len(acs.pcm)
            await asyncio.sleep(0.7)
            return len(acs.pcm) == before

        await eventually(quiet, what="the other relay's own sound only")


async def test_call_control_learns_when_no_relay_comes_back(
    start_gateway: StartGateway, line: Line, claim: Claim
) -> None:
    async with (
        start_gateway(watch=RelayWatchTiming(given_up_after_s=0.2)) as gateway,
        gateway.dial(line.call_id) as acs,
    ):
        await acs.metadata(24_000)
        assert await eventually(lambda: line.told(VoiceLost)) == [VoiceLost(line.call_id, claim.epoch, "no relay")]
