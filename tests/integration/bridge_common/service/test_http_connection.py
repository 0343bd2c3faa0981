"""uvicorn's connections with peers that are slow, do not read, or are many."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from bridge_common.observability.telemetry import REGISTRY
from bridge_common.service.background_tasks import BackgroundTasks
from bridge_common.service.http_connection import HttpConnection, HttpTiming
from bridge_common.service.lifecycle import RunningService
from bridge_common.service.readiness import Readiness
from bridge_common.service.settings import ServiceSettings
from bridge_common.service.web_server import ServerOptions, WebServer
from tests.integration.support.echo_sockets import RawPeer, raw_peer
from tests.support.eventually import eventually

GET = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
PIECE = bytes(64 * 1024)
PIECES = 100


class Pages:
    """Routes that respond, read the body, never read it, or send a response larger than all buffers."""

    def __init__(self) -> None:
        self.draining = False
        self.parts = BackgroundTasks()
        self.gate = asyncio.Event()
        self.read: list[bytes] = []

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/hello", lambda _: PlainTextResponse("hello")),
            Route("/read", self._read, methods=["POST"]),
            Route("/refused", lambda _: PlainTextResponse("not you", 401), methods=["POST"]),
            Route("/gate", self._gate, methods=["POST"]),
            Route("/large", lambda _: StreamingResponse(self._large())),
        ]

    async def ready(self) -> Readiness:
        return Readiness()

    async def start(self) -> None: ...

    async def drain(self) -> None: ...

    async def stop(self) -> None:
        await self.parts.stop()

    async def _read(self, request: Request) -> Response:
        self.read.append(await request.body())
        return PlainTextResponse("read")

    async def _gate(self, request: Request) -> Response:
        await self.gate.wait()
        return await self._read(request)

    async def _large(self) -> AsyncIterator[bytes]:
        for _ in range(PIECES):
            yield PIECE


@asynccontextmanager
async def serving(pages: Pages, timing: HttpTiming | None = None, **limits: int) -> AsyncIterator[int]:
    settings = ServiceSettings.model_validate(
        {"redis_url": "redis://127.0.0.1:1/0", "host": "127.0.0.1", "port": 0, **limits}
    )
    server = WebServer(pages, settings, ServerOptions(timing=timing or HttpTiming()))
    async with RunningService(pages, settings, server) as running:
        yield running.port


@pytest.fixture
def pages() -> Pages:
    return Pages()


def dropped(why: str) -> float:
    return REGISTRY.get_sample_value("bridge_connections_dropped_total", {"reason": why}) or 0.0


async def answer(peer: RawPeer) -> bytes:
    """The status line; the rest of a short response is consumed."""
    head = await asyncio.wait_for(peer.reader.readuntil(b"\r\n\r\n"), 5)
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    await asyncio.wait_for(peer.reader.readexactly(length), 5)
    return head.partition(b"\r\n")[0]


@pytest.mark.parametrize("sent", [b"", b"GET /hello HTTP/1.1\r\nX: ", GET + b"GET /he"], ids=["none", "half", "second"])
async def test_a_head_has_to_arrive_in_time(pages: Pages, sent: bytes) -> None:
    before = dropped("slow")
    async with serving(pages, HttpTiming(head_s=0.3)) as port, raw_peer(port) as peer:
        peer.writer.write(sent)
        if sent.startswith(GET):
            assert b" 200 " in await answer(peer)
        trickle = asyncio.create_task(_trickle(peer))
        assert await peer.ended(within_s=5)
        trickle.cancel()
    assert dropped("slow") == before + 1


async def _trickle(peer: RawPeer) -> None:
    """More bytes of a head that is never complete do not extend its time limit."""
    while True:
        peer.writer.write(b"x")
        await asyncio.sleep(0.05)


async def test_a_body_may_not_pause_for_long_but_may_be_long(pages: Pages) -> None:
    head = b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n"
    timing = HttpTiming(body_pause_s=2.0)
    async with serving(pages, timing) as port, raw_peer(port) as steady, raw_peer(port) as stuck:
        stuck.writer.write(head + b"1")
        steady.writer.write(head)
        for number in range(8):
            await asyncio.sleep(0.3)  # the total exceeds the limit of one pause
            steady.writer.write(b"%d" % number)
        assert b" 200 " in await answer(steady)
        assert await stuck.ended(within_s=10)
    assert pages.read == [b"01234567"]


async def test_a_body_that_the_endpoint_does_not_read_yet_is_not_late(pages: Pages) -> None:
    body = bytes(300_000)
    async with serving(pages, HttpTiming(body_pause_s=0.1)) as port, raw_peer(port) as peer:
        peer.writer.write(b"POST /gate HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert not await peer.ended(within_s=0.5)
        pages.gate.set()
        assert b" 200 " in await answer(peer)
    assert pages.read == [body]


@pytest.mark.parametrize("flood", [False, True], ids=["trickle", "flood"])
async def test_an_answer_before_the_end_of_the_request_is_the_last(pages: Pages, *, flood: bool) -> None:
    """The response to an unauthenticated peer is sent before its body has arrived, and the connection ends."""
    async with serving(pages, HttpTiming(linger_s=60.0 if flood else 0.3)) as port, raw_peer(port) as peer:
        peer.writer.write(b"POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
        assert b" 401 " in await answer(peer)
        trickle = asyncio.create_task(_trickle(peer))
        if flood:
            peer.writer.write(bytes(8 * 1024 * 1024))
        assert await peer.ended(within_s=5)
        trickle.cancel()


async def test_a_peer_that_does_not_take_its_response_is_dropped(pages: Pages) -> None:
    before = dropped("unread")
    async with (
        serving(pages, HttpTiming(unread_s=0.3)) as port,
        raw_peer(port, receives_bytes=4096) as peer,
        raw_peer(port) as reading,
    ):
        peer.reads(False)
        peer.writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await eventually(lambda: dropped("unread") == before + 1)
        reading.writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        taken = await asyncio.wait_for(reading.reader.read(-1), 20)
        assert len(taken) > PIECES * len(PIECE)
    assert dropped("unread") == before + 1


async def test_unfinished_heads_make_room_for_others(pages: Pages) -> None:
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serving(pages, pending_connections=8))
        slow = []
        for _ in range(20):
            slow.append(await stack.enter_async_context(raw_peer(port)))
            slow[-1].writer.write(b"GET /hello HTTP/1.1\r\n")
        genuine = await stack.enter_async_context(raw_peer(port))
        genuine.writer.write(GET)
        assert b" 200 " in await answer(genuine)
        for peer in slow[:12]:
            assert await peer.ended(within_s=2), "before the time for a head is over"
        for _ in range(20):
            await stack.enter_async_context(raw_peer(port))
        genuine.writer.write(GET)
        assert b" 200 " in await answer(genuine), "a connection with a complete request is not dropped"


async def test_at_the_limit_of_connections_the_longest_idle_one_goes(pages: Pages) -> None:
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serving(pages, http_connections=16))
        peers = []
        for number in range(20):
            peers.append(await stack.enter_async_context(raw_peer(port)))
            if number == 0:
                peers[0].writer.write(b"POST /gate HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
                continue
            peers[-1].writer.write(GET)
            assert b" 200 " in await answer(peers[-1])
        for peer in peers[1:5]:
            assert await peer.ended(within_s=2)
        for peer in peers[5:]:
            peer.writer.write(GET)
            assert b" 200 " in await answer(peer)
        pages.gate.set()
        assert b" 200 " in await answer(peers[0])


async def test_connections_leave_nothing_behind(pages: Pages) -> None:
    async with serving(pages) as port:
        for number in range(40):
            async with raw_peer(port) as peer:
                if number % 2:
                    peer.writer.write(GET)
                    await answer(peer)
        await eventually(lambda: not [one for one in gc.get_objects() if issubclass(type(one), HttpConnection)])
