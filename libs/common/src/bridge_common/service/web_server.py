"""The port of a service that speaks HTTP through starlette and uvicorn: its routes, with the probes beside them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route

from bridge_common.base.log_limit import LineLimit
from bridge_common.service import probes
from bridge_common.service.background_tasks import BackgroundTasks
from bridge_common.service.error_body import FAILED, NO_SUCH_PATH, error_body
from bridge_common.service.http_connection import HttpConnections, http_connection
from bridge_common.service.pending_connections import PendingConnections
from bridge_common.service.settings import ServiceSettings

# uvicorn logs each request that it cannot read.
logging.getLogger("uvicorn.error").addFilter(LineLimit(per_s=1, burst=5))

_DATE_S: Final = 1.0
MAX_WS_MESSAGE_BYTES: Final = 256 * 1024
MAX_HEAD_BYTES: Final = 16 * 1024
_BUFFERS_BYTES: Final = ((socket.SO_RCVBUF, 16 * 1024), (socket.SO_SNDBUF, 64 * 1024))
"""Of the kernel, for each connection. By default they grow to megabytes, which count as the pod's memory."""


class Web(Protocol):
    """What of a service answers requests."""

    draining: bool
    parts: BackgroundTasks

    def routes(self) -> Sequence[BaseRoute]: ...

    async def ready(self) -> str:
        """Empty when new work may come, else the reason why not."""
        ...


def application(web: Web) -> Starlette:
    """The service's routes with /livez, /readyz and /metrics beside them."""

    async def livez(_: Request) -> Response:
        return _response(probes.livez(web.parts.failure))

    async def readyz(_: Request) -> Response:
        return _response(probes.readyz("draining" if web.draining else await web.ready()))

    async def metrics(_: Request) -> Response:
        return _response(probes.metrics())

    ours = [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]
    app = Starlette(
        routes=[*ours, *web.routes()],
        exception_handlers={404: _not_found, 405: _method_not_allowed, Exception: _internal},
    )
    # Starlette would redirect `/livez/` to an address that it makes from the request's Host header.
    app.router.redirect_slashes = False
    return app


async def _not_found(request: Request, error: Exception) -> Response:
    return _response(NO_SUCH_PATH)


async def _method_not_allowed(request: Request, error: Exception) -> Response:
    """With the methods of all routes of the path; starlette knows those of the first one only."""
    assert isinstance(error, HTTPException)
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    allowed = ", ".join(sorted(methods))
    body = error_body("method_not_allowed", f"{request.method} is not supported here; use {allowed}")
    return JSONResponse(body, 405, {"Allow": allowed})


async def _internal(request: Request, error: Exception) -> Response:
    """The exception itself is logged by the server."""
    return _response(FAILED)


def _response(answer: probes.ProbeResponse) -> Response:
    return Response(answer.body, answer.status, headers={"content-type": answer.content_type})


class WebServer:
    """uvicorn on a socket that is bound already."""

    def __init__(self, web: Web, settings: ServiceSettings) -> None:
        pending = PendingConnections(settings.pending_connections, settings.pending_connections_per_source)
        config = uvicorn.Config(
            application(web),
            http=http_connection(HttpConnections(settings.http_connections, pending)),  # type: ignore[arg-type]
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            ws="websockets-sansio",
            ws_max_size=MAX_WS_MESSAGE_BYTES,
            ws_per_message_deflate=False,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,  # the sender of a request would choose the address that it seems to come from
            timeout_keep_alive=65,
            timeout_graceful_shutdown=5,
        )
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None

    async def open(self, bound: socket.socket) -> None:
        for way, size in _BUFFERS_BYTES:
            bound.setsockopt(socket.SOL_SOCKET, way, size)
        self._serving = asyncio.create_task(self._server.serve(sockets=[bound]))
        while not self._server.started:  # uvicorn has no event for it
            if self._serving.done():
                await self._serving
                raise RuntimeError("the server ended before it started")
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        self._server.exit()
        if self._serving is not None:
            await self._serving


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, for the service has them, and without looking ten times a second whether it
    is to end.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    def exit(self) -> None:
        self.should_exit = True
        self._told.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # it renews the `Date` of the answers
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DATE_S):
                    await self._told.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
