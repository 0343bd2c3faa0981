"""Requests that are not valid HTTP: one 400, the connection is closed, and log lines are limited."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from bridge_common.service.background_tasks import BackgroundTasks
from bridge_common.service.lifecycle import RunningService
from bridge_common.service.readiness import Readiness
from bridge_common.service.settings import ServiceSettings
from tests.integration.support.echo_sockets import raw_peer
from tests.support.eventually import eventually

FLOOD = 40
MOST_LINES = 15
"""Maximum log lines of a flood: the burst, and the rate during a slow test."""
CHUNKED = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
BAD_CHUNK = b"-1\r\n"
UPGRADE = (
    b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Endpoints:
    """Endpoints as in the services: rejects before reading, reads, streams, fails."""

    def __init__(self) -> None:
        self.draining = False
        self.parts = BackgroundTasks()
        self.began = asyncio.Event()
        self.over: list[str] = []

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/refused", self._refused, methods=["POST"]),
            Route("/read", self._read, methods=["POST"]),
            Route("/stream", self._stream, methods=["POST"]),
            Route("/broken", self._broken, methods=["GET", "POST"]),
        ]

    async def ready(self) -> Readiness:
        return Readiness()

    async def start(self) -> None: ...

    async def drain(self) -> None: ...

    async def stop(self) -> None:
        await self.parts.stop()

    async def _refused(self, _: Request) -> Response:
        return JSONResponse({"error": {}}, 401)

    async def _read(self, request: Request) -> Response:
        try:
            await request.body()
        except Exception as error:
            self.over.append(type(error).__name__)
        return PlainTextResponse("read")

    async def _stream(self, _: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begun"
            self.began.set()
            await asyncio.sleep(3600)

        return StreamingResponse(parts())

    async def _broken(self, _: Request) -> Response:
        raise RuntimeError("broken")


@pytest.fixture
async def endpoints() -> Endpoints:
    return Endpoints()


@pytest.fixture
async def port(endpoints: Endpoints) -> AsyncIterator[int]:
    settings = ServiceSettings.model_validate(
        {"redis_url": "redis://127.0.0.1:1/0", "host": "127.0.0.1", "port": 0, "pending_connections_per_source": 0}
    )
    async with RunningService(endpoints, settings) as running:
        yield running.port


async def exchange(port: int, *sent: bytes) -> bytes:
    """Everything received until the connection ends. Further parts are sent after the first bytes arrived."""
    received = b""
    async with raw_peer(port) as peer, asyncio.timeout(10):
        for number, part in enumerate(sent):
            if number:
                received += await peer.reader.read(65536)
            peer.writer.write(part)
        return received + await peer.reader.read()


def from_strangers(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [line for line in caplog.records if line.name in ("uvicorn.error", "asyncio")]


@pytest.mark.parametrize("path", [b"/refused", b"/nowhere", b"/read", b"/stream"])
async def test_an_unreadable_body_gets_one_400_and_no_traceback(
    port: int, path: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(FLOOD):
        answer = await exchange(port, CHUNKED % path + BAD_CHUNK)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1") == 1
    lines = from_strangers(caplog)
    assert all(line.exc_info is None for line in lines)
    assert len(lines) <= MOST_LINES


async def test_an_endpoint_that_reads_finds_the_peer_gone(port: int, endpoints: Endpoints) -> None:
    assert b" 400 " in await exchange(port, CHUNKED % b"/read" + b"2\r\nab\r\n" + BAD_CHUNK)
    assert await eventually(lambda: endpoints.over) == ["ClientDisconnect"]


@pytest.mark.parametrize("path", [b"/refused", b"/stream"])
async def test_an_unreadable_body_after_the_response_began_ends_the_connection(
    port: int, path: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await exchange(port, CHUNKED % path, BAD_CHUNK)
    assert answer.count(b"HTTP/1.1") == 1
    assert not [line for line in from_strangers(caplog) if line.exc_info]


async def test_an_endpoint_that_fails_cannot_flood_the_log(port: int, caplog: pytest.LogCaptureFixture) -> None:
    request = b"GET /broken HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for _ in range(FLOOD):
        assert (await exchange(port, request)).startswith(b"HTTP/1.1 500 ")
    lines = from_strangers(caplog)
    assert 1 <= len(lines) <= MOST_LINES
    assert all("Exception in ASGI application" in line.getMessage() for line in lines)


@pytest.mark.parametrize(
    "lengths", [b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"transfer-encoding: chunked\r\ncontent-length: 4"]
)
async def test_two_lengths_are_refused(port: int, endpoints: Endpoints, lengths: bytes) -> None:
    """A proxy that uses the other length treats the rest as another request."""
    smuggled = b"0\r\n\r\nGET /broken HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = await exchange(port, b"POST /read HTTP/1.1\r\nHost: x\r\n" + lengths + b"\r\n\r\n" + smuggled)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("fields", [UPGRADE, UPGRADE.replace(b"13", b"7"), UPGRADE.replace(b"websocket", b"h2c")])
async def test_an_upgrade_is_answered_like_any_request(
    port: int, fields: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with raw_peer(port) as peer:
        for path, expected in ((b"/nowhere", b'"code":"not_found"'), (b"/livez", b"alive")):
            peer.writer.write(b"GET " + path + b" HTTP/1.1\r\n" + fields)
            head = await asyncio.wait_for(peer.reader.readuntil(b"\r\n\r\n"), 5)
            assert b"content-type: application/" in head
            assert expected in await asyncio.wait_for(peer.reader.readuntil(b"}"), 5)
    assert not from_strangers(caplog)
