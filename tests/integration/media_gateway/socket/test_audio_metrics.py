"""Metrics of the audio of a call, over real sockets and streams. The limits are shortened."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest

from bridge_common.wire.entries import Audio, ItemEnd, MediaAttached
from media_gateway.core.audio_health import AudioLimits
from media_gateway.socket_context import SocketLimits
from tests.integration.support.acs_media_peer import AcsMediaPeer
from tests.integration.support.gateway_under_test import Gateway, Line, StartGateway, tone
from tests.support.eventually import eventually

LIMITS = SocketLimits(audio=AudioLimits(no_uplink_s=1.0, silent_s=1.0, clipping_s=1.0, no_downlink_s=1.0))
KINDS = ("no_uplink", "silent_uplink", "clipped_uplink", "no_downlink")


class Metrics:
    """The metrics of a gateway, over HTTP, since the object was created."""

    def __init__(self, gateway: Gateway) -> None:
        self._url = f"http://127.0.0.1:{gateway.running.port}/metrics"
        self._before: dict[str, float] = {}

    async def start(self) -> Metrics:
        self._before = await self._read()
        return self

    async def grown(self, sample: str) -> float:
        return (await self._read())[sample] - self._before[sample]

    async def faults(self) -> set[str]:
        now = await self._read()
        names = {kind: f'bridge_audio_faults_total{{kind="{kind}"}}' for kind in KINDS}
        grown = {kind: now[name] - self._before[name] for kind, name in names.items()}
        assert set(grown.values()) <= {0.0, 1.0}, "once per socket and kind"
        return {kind for kind, by in grown.items() if by}

    async def _read(self) -> dict[str, float]:
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(self._url)).text
        return {name: float(value) for name, value in re.findall(r"^(\S+) (\S+)$", text, re.MULTILINE)}


async def talk(acs: AcsMediaPeer, pcm: bytes) -> None:
    """Send this frame in real time until canceled."""
    loop = asyncio.get_running_loop()
    at = loop.time()
    while True:
        await acs.frame(pcm)
        at += 0.02
        await asyncio.sleep(max(at - loop.time(), 0))


@pytest.mark.timeout(60)
async def test_each_fault_of_the_audio_is_found(start_gateway: StartGateway, line: Line) -> None:
    async with start_gateway(limits=LIMITS) as gateway, gateway.dial(line.call_id) as acs:
        metrics = await Metrics(gateway).start()
        await acs.metadata()
        await eventually(lambda: line.said(MediaAttached))

        async def found(*kinds: str) -> bool:
            return await metrics.faults() == set(kinds)

        talking = asyncio.create_task(talk(acs, b"\xff\x7f" * 320))
        await eventually(lambda: found("clipped_uplink", "no_downlink"), within_s=10)
        assert await metrics.grown("bridge_jitter_seconds_count") > 0
        talking.cancel()
        talking = asyncio.create_task(talk(acs, bytes(640)))
        line.downlink.append(Audio("item_1", tone(3000, 24_000)))
        await eventually(lambda: found("clipped_uplink", "no_downlink", "silent_uplink"), within_s=10)
        talking.cancel()
        await eventually(lambda: found(*KINDS), within_s=10)
        await asyncio.gather(talking, return_exceptions=True)


async def test_a_pause_within_a_response_is_an_underrun(gateway: Gateway, line: Line) -> None:
    async with gateway.dial(line.call_id) as acs:
        metrics = await Metrics(gateway).start()
        await acs.metadata()
        await eventually(lambda: line.said(MediaAttached))
        line.downlink.append(Audio("item_1", tone(100, 24_000)))
        await eventually(lambda: acs.heard)
        await asyncio.sleep(0.3)  # the audio has been played
        assert await metrics.grown("bridge_underruns_total") == 0
        line.downlink.append(Audio("item_1", tone(100, 24_000)))
        line.downlink.append(ItemEnd("item_1"))

        async def counted() -> bool:
            return await metrics.grown("bridge_underruns_total") == 1

        await eventually(counted)
        assert await metrics.grown('bridge_gap_seconds_count{direction="out"}') == 1


async def test_the_capacity_is_reported(start_gateway: StartGateway) -> None:
    async with start_gateway(gateway_capacity=37) as gateway, httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"http://127.0.0.1:{gateway.running.port}/metrics")).text
    assert "bridge_capacity_calls 37.0" in text
