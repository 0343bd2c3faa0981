"""uvicorn with the routes of a service: probes, metrics, and the limit on WebSocket messages."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket
from yarl import URL

from bridge_common.service.background_tasks import BackgroundTasks
from bridge_common.service.readiness import Readiness
from bridge_common.service.settings import ServiceSettings
from bridge_common.service.web_server import MAX_WS_MESSAGE_BYTES, Web, WebServer
from tests.support.eventually import eventually


class Answering:
    def __init__(self) -> None:
        self.draining = False
        self.parts = BackgroundTasks()
        self.reason = ""

    def routes(self) -> Sequence[BaseRoute]:
        return [
            WebSocketRoute("/ws", self._echo),
            Route("/hello", lambda _: PlainTextResponse("hello")),
            Route("/hello", lambda _: PlainTextResponse("put"), methods=["PUT"]),
            Route("/broken", self._broken),
        ]

    async def _broken(self, _: Request) -> Response:
        raise RuntimeError("a secret of the service")

    async def ready(self) -> Readiness:
        return Readiness(self.reason)

    async def _echo(self, ws: WebSocket) -> None:
        await ws.accept()
        async for text in ws.iter_text():
            await ws.send_text(text)


@asynccontextmanager
async def listening(web: Web) -> AsyncIterator[str]:
    server = WebServer(web, ServiceSettings(redis_url=SecretStr("redis://127.0.0.1:1/0"), port=0))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        await server.open(bound)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        await server.close()


@pytest.fixture
def answering() -> Answering:
    return Answering()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize("path", ["/hello/", "//hello", "/livez/", "//evil.test/%2e%2e", "/hello//", "/HELLO"])
async def test_the_host_header_makes_no_redirect(answering: Answering, http: aiohttp.ClientSession, path: str) -> None:
    """`GET /hello/` was a 307 to the host of the request header."""
    async with listening(answering) as url:
        address = URL(url + path, encoded=True)
        for method in ("GET", "POST", "OPTIONS"):
            async with http.request(method, address, headers={"Host": "evil.test"}, allow_redirects=False) as reply:
                assert reply.status == 404
                assert "location" not in reply.headers
                assert "evil.test" not in await reply.text()


async def test_the_probes_answer(answering: Answering, http: aiohttp.ClientSession) -> None:
    async with listening(answering) as url:
        async with http.get(url + "/livez") as reply:
            assert (reply.status, await reply.json()) == (200, {"status": "alive"})
        async with http.get(url + "/readyz") as reply:
            assert (reply.status, await reply.json()) == (200, {"status": "ready"})
        answering.reason = "Redis does not answer"
        async with http.get(url + "/readyz") as reply:
            assert reply.status == 503
            assert await reply.json() == {"status": "not ready", "reason": "Redis does not answer"}
        answering.draining, answering.reason = True, ""
        async with http.get(url + "/readyz") as reply:
            assert (reply.status, (await reply.json())["reason"]) == (503, "draining")
        async with http.get(url + "/livez") as reply:
            assert reply.status == 200


async def test_metrics_are_there_beside_the_services_own_routes(
    answering: Answering, http: aiohttp.ClientSession
) -> None:
    async with listening(answering) as url:
        async with http.get(url + "/metrics") as reply:
            assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
            assert "bridge_active_calls" in await reply.text()
        async with http.get(url + "/hello") as reply:
            assert await reply.text() == "hello"
            assert "server" not in reply.headers


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/elsewhere", 404, "not_found"),
        ("GET", "/hello/", 404, "not_found"),
        ("POST", "/hello", 405, "method_not_allowed"),
        ("DELETE", "/livez", 405, "method_not_allowed"),
        ("TRACE", "/hello", 405, "method_not_allowed"),
        ("GET", "/broken", 500, "internal"),
    ],
)
async def test_every_error_has_the_documented_form(
    answering: Answering, http: aiohttp.ClientSession, method: str, path: str, status: int, code: str
) -> None:
    async with listening(answering) as url, http.request(method, url + path, allow_redirects=False) as reply:
        assert (reply.status, reply.content_type) == (status, "application/problem+json")
        body = await reply.json()
        allowed = reply.headers.get("allow")
    assert set(body) == {"type", "title", "status", "detail", "code", "error"}
    assert (body["status"], body["code"]) == (status, code)
    assert set(body["error"]) == {"code", "message"}
    assert body["error"]["code"] == code
    assert "secret" not in body["error"]["message"]
    assert allowed == {"/hello": "GET, HEAD, PUT", "/livez": "GET, HEAD"}.get(path if status == 405 else "")


async def test_answers_tell_the_time_of_now(answering: Answering, http: aiohttp.ClientSession) -> None:
    async with listening(answering) as url:

        async def date() -> str:
            async with http.get(url + "/hello") as reply:
                return reply.headers["date"]

        first = await date()

        async def renewed() -> bool:
            return await date() != first

        await eventually(renewed, every_s=0.1)


async def test_a_message_beyond_the_limit_closes_its_socket_only(
    answering: Answering, http: aiohttp.ClientSession
) -> None:
    async with (
        listening(answering) as url,
        http.ws_connect(url + "/ws") as small,
        http.ws_connect(url + "/ws") as big,
    ):
        await big.send_str("x" * (MAX_WS_MESSAGE_BYTES + 1))
        closed = await big.receive(timeout=5)
        assert closed.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert big.close_code == 1009
        await small.send_str("y" * MAX_WS_MESSAGE_BYTES)
        assert len((await small.receive(timeout=5)).data) == MAX_WS_MESSAGE_BYTES
