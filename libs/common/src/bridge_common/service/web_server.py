"""The HTTP server of a service: its starlette routes and the probes, under uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from bridge_common.base.log_limit import LineLimit
from bridge_common.service import http_responses
from bridge_common.service.background_tasks import BackgroundTasks
from bridge_common.service.http_connection import HttpConnection, HttpConnections, HttpTiming, http_connection
from bridge_common.service.http_responses import FAILED, NO_SUCH_PATH, error_response
from bridge_common.service.pending_connections import PendingConnections
from bridge_common.service.readiness import Readiness
from bridge_common.service.settings import ServiceSettings

# Peers can cause these lines: uvicorn logs each invalid request and, with a traceback, each failure of a route; asyncio
# logs each connection whose protocol fails.
logging.getLogger("uvicorn.error").addFilter(LineLimit(per_s=1, burst=5))
logging.getLogger("uvicorn.error").addFilter(LineLimit(per_s=0.5, burst=10, errors=True))
logging.getLogger("asyncio").addFilter(LineLimit(per_s=0.5, burst=10, errors=True))

_DATE_S: Final = 1.0
MAX_WS_MESSAGE_BYTES: Final = 256 * 1024
MAX_HEAD_BYTES: Final = 16 * 1024

ProtocolFactory: TypeAlias = Callable[[], asyncio.BaseProtocol]
Listen: TypeAlias = Callable[[ProtocolFactory, socket.socket, ssl.SSLContext | None], Awaitable[asyncio.AbstractServer]]
WsProtocol: TypeAlias = str | Callable[..., asyncio.BaseProtocol]
"""Value of uvicorn's option `ws`: the name of one of its implementations, or a class."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Options in which the servers of the services differ."""

    ws: Callable[[PendingConnections], WsProtocol] = lambda _: "websockets-sansio"
    connection: type[HttpConnection] = HttpConnection
    timing: HttpTiming = field(default_factory=HttpTiming)
    receive_buffer_bytes: int = 16 * 1024
    """Size of the kernel's buffers of each connection. By default they grow to megabytes, which count as memory of the
    pod.
    """
    send_buffer_bytes: int = 64 * 1024
    listen: Listen | None = None
    """Listens instead of the event loop's server."""
    tls: ssl.SSLContext | None = None
    readiness: Callable[[], Mapping[str, object]] = field(default=dict)
    """Additional fields in the response of /readyz."""


class Web(Protocol):
    """The HTTP part of a service: its routes and its readiness."""

    draining: bool
    parts: BackgroundTasks

    def routes(self) -> Sequence[BaseRoute]: ...

    async def ready(self) -> Readiness: ...


def application(web: Web, readiness: Callable[[], Mapping[str, object]] = dict) -> Starlette:
    """Create an application with the service's routes and /livez, /readyz and /metrics."""

    async def livez(_: Request) -> Response:
        return http_responses.livez(web.parts.failure)

    async def readyz(_: Request) -> Response:
        return http_responses.readyz(Readiness("draining") if web.draining else await web.ready(), **readiness())

    async def metrics(request: Request) -> Response:
        return http_responses.metrics(request.headers.get("accept", ""))

    ours = [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]
    app = Starlette(
        routes=[*ours, *web.routes()],
        exception_handlers={404: _not_found, 405: _method_not_allowed, Exception: _internal},
    )
    # Starlette would redirect `/livez/` to an address built from the request's Host header.
    app.router.redirect_slashes = False
    app.router.default = _no_route
    return app


async def _no_route(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with 404 and a body. Starlette would respond to a request for a WebSocket with 403 and no body."""
    if scope["type"] == "websocket":
        await WebSocket(scope, receive, send).send_denial_response(NO_SUCH_PATH)
    else:
        raise HTTPException(404)


async def _not_found(request: Request, error: Exception) -> Response:
    return NO_SUCH_PATH


async def _method_not_allowed(request: Request, error: Exception) -> Response:
    """Respond with 405 and the methods of all routes of the path; starlette would list those of the first
    route only.
    """
    assert isinstance(error, HTTPException)
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    allowed = ", ".join(sorted(methods))
    message = f"{request.method} is not supported here; use {allowed}"
    return error_response(405, "method_not_allowed", message, {"Allow": allowed})


async def _internal(request: Request, error: Exception) -> Response:
    """Respond to an unhandled exception, which the server logs."""
    return FAILED


def _has_sockets(app: Starlette) -> bool:
    """Whether the service has WebSocket routes. If not, uvicorn ignores `Upgrade`, as HTTP allows."""
    return any(isinstance(route, WebSocketRoute) for route in app.routes)


class WebServer:
    """A uvicorn server on a socket that is already bound."""

    def __init__(self, web: Web, settings: ServiceSettings, options: ServerOptions | None = None) -> None:
        self._options = options = options or ServerOptions()
        pending = PendingConnections(settings.pending_connections, settings.pending_connections_per_source)
        connections = HttpConnections(settings.http_connections, pending, options.timing)
        app = application(web, options.readiness)
        config = uvicorn.Config(
            app,
            http=http_connection(connections, options.connection),  # type: ignore[arg-type]
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            ws=options.ws(pending) if _has_sockets(app) else "none",  # type: ignore[arg-type]
            ws_max_size=MAX_WS_MESSAGE_BYTES,
            ws_per_message_deflate=False,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,  # a sender could forge its address
            timeout_keep_alive=65,
            timeout_graceful_shutdown=5,
        )
        self._server = _Server(config, options)
        self._serving: asyncio.Task[None] | None = None

    async def open(self, bound: socket.socket) -> None:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._options.receive_buffer_bytes)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._options.send_buffer_bytes)
        self._serving = asyncio.create_task(self._server.serve(sockets=[bound]))
        while not self._server.started:  # uvicorn has no event for it
            if self._serving.done():
                await self._serving
                raise RuntimeError("the HTTP server stopped before it was ready; its log has the cause")
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        self._server.exit()
        if self._serving is not None:
            await self._serving
            # uvicorn cancels the requests that are still running; it does not wait for them.
            await asyncio.gather(*self._server.server_state.tasks, return_exceptions=True)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which `lifecycle` replaces, and without its ten wake-ups per second."""

    def __init__(self, config: uvicorn.Config, options: ServerOptions) -> None:
        super().__init__(config)
        self._exiting = asyncio.Event()
        self._options = options

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        listen = self._options.listen
        if listen is None:
            self.config.ssl = self._options.tls
            await super().startup(sockets)
            return
        assert sockets is not None
        servers = [await listen(self._new_connection, bound, self._options.tls) for bound in sockets]
        self.servers = servers  # type: ignore[assignment]  # not asyncio's own class
        self.started = True

    def _new_connection(self) -> asyncio.BaseProtocol:
        factory: Callable[..., asyncio.BaseProtocol] = self.config.http_protocol_class
        state: dict[str, Any] = {}
        return factory(config=self.config, server_state=self.server_state, app_state=state)

    def exit(self) -> None:
        self.should_exit = True
        self._exiting.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # renews the `Date` header of responses
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DATE_S):
                    await self._exiting.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
