"""The process: probes, metrics, drain."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from bridge_common.redis.clients import RedisClients
from bridge_common.store.fleet import Fleet
from bridge_common.streams.writer import StreamWriter
from bridge_common.wire.entries import MediaAttached, MediaDetached, MediaLost
from lab.ports import free_port
from tests.integration.support.acs_media_peer import dial
from tests.integration.support.gateway_under_test import TOKEN_KEY, Gateway, Line, running_gateway
from tests.support.eventually import eventually


@asynccontextmanager
async def process(redis_url: str, port: int, **changes: str) -> AsyncIterator[asyncio.subprocess.Process]:
    settings = {
        "REDIS_URL": redis_url,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "MEDIA_TOKEN_KEYS": TOKEN_KEY,
        "ACS_JWT_MODE": "off",
        "ALLOW_INSECURE": "unchecked-tokens",
        "DRAIN_TIMEOUT_S": "4",
    }
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import sys; from media_gateway.app import main; sys.exit(main())"),
        env={**os.environ, **settings, **changes},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def ready(port: int) -> int:
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code
    except httpx.TransportError:
        return 0


async def test_a_signal_lets_calls_end_and_then_closes_the_rest(redis_url: str, line: Line, gateway: Gateway) -> None:
    port = free_port()
    async with process(redis_url, port) as running:

        async def answers(code: int) -> bool:
            return await ready(port) == code

        await eventually(lambda: answers(200), within_s=15)
        url = re.sub(r":\d+/", f":{port}/", gateway.url(line.call_id))
        async with dial(url) as acs:
            await acs.metadata()
            await eventually(lambda: line.said(MediaAttached))
            running.send_signal(signal.SIGTERM)
            await eventually(lambda: answers(503))
            with pytest.raises(InvalidStatus) as late:
                await dial(url).__aenter__()
            assert late.value.response.status_code == 503
            await acs.tone("1")
            assert acs.close_code is None, "a running call continues"
            assert await acs.closed(within_s=6) == 1001
        assert await asyncio.wait_for(running.wait(), 5) == 0
        await eventually(lambda: line.said(MediaDetached))
        await line.await_told(MediaLost)


async def test_a_dead_writer_ends_the_process(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def die(_: StreamWriter) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(StreamWriter, "run", die)
    async with running_gateway(redis_url) as gateway, httpx.AsyncClient(trust_env=False) as client:
        assert await asyncio.wait_for(gateway.running.until_exit(), 10) == 1
        base = f"http://127.0.0.1:{gateway.running.port}"
        livez = await client.get(f"{base}/livez")
        assert (livez.status_code, livez.json()["reason"]) == (503, "writer has stopped")
        assert (await client.get(f"{base}/readyz")).json()["reason"] == "writer has stopped"


async def test_without_settings_it_says_what_is_missing() -> None:
    async with process("", 0, MEDIA_TOKEN_KEYS="", ACS_JWT_MODE="enforce") as running:
        _, told = await running.communicate()
    assert running.returncode == 2
    for name in (b"REDIS_URL", b"MEDIA_TOKEN_KEYS", b"ACS_JWT_AUDIENCE"):
        assert name in told


async def test_probes_metrics_and_heartbeat(gateway: Gateway, line: Line, clients: RedisClients) -> None:
    fleet = Fleet(clients.control, "test", "test")

    async def beats() -> int | None:
        member = (await fleet.live()).get(gateway.service.name)
        return None if member is None else member.active

    async def active() -> bool:
        return await beats() == 1

    async with gateway.dial(line.call_id) as acs, httpx.AsyncClient(trust_env=False) as client:
        await acs.metadata()
        await eventually(lambda: line.said(MediaAttached))
        await acs.frame(bytes(640))
        await eventually(active)
        base = f"http://127.0.0.1:{gateway.running.port}"
        assert (await client.get(f"{base}/livez")).status_code == 200

        async def ready() -> bool:
            return (await client.get(f"{base}/readyz")).status_code == 200

        await eventually(ready)
        metrics = (await client.get(f"{base}/metrics")).text
    assert "\nbridge_active_calls 1.0\n" in metrics
    assert 'bridge_gateway_frames_total{direction="in"}' in metrics
    assert "bridge_gateway_playout_waiting_seconds 0.0" in metrics
