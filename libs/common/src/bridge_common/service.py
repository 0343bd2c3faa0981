"""What every service does around its work: probes, metrics, signals, drain, exit.

uvicorn closes open WebSockets the moment it is told to exit, and lifespan teardown runs only afterwards. So the
signals are ours: first the service drains, then uvicorn learns that it should go.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bridge_common import telemetry
from bridge_common.log import fields
from bridge_common.settings import ServiceSettings

log = logging.getLogger(__name__)

MAX_WS_MESSAGE_BYTES: Final = 256 * 1024
"""Above the 64 KB that the media codec takes: a frame too large is dropped and counted there, not a lost call."""
_START_TIMEOUT_S: Final = 30
_CANCEL_TIMEOUT_S: Final = 2


class Service(Protocol):
    """One process's work. `start` returns when it is ready; `drain` when nothing of it is needed any more.

    `stop` releases everything; it is called after a `start` that failed or was cancelled as well.
    """

    draining: bool

    def routes(self) -> Sequence[BaseRoute]: ...

    async def ready(self) -> str:
        """Empty when new work may come, else the reason why not."""
        ...

    async def start(self) -> None: ...

    async def drain(self) -> None: ...

    async def stop(self) -> None: ...


def application(service: Service) -> Starlette:
    """The service's routes with /livez, /readyz and /metrics beside them."""

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        reason = "draining" if service.draining else await service.ready()
        return JSONResponse(
            {"status": "not ready", "reason": reason} if reason else {"status": "ready"}, 503 if reason else 200
        )

    async def metrics(_: Request) -> Response:
        return Response(telemetry.render(), media_type=telemetry.CONTENT_TYPE)

    probes = [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]
    return Starlette(routes=[*probes, *service.routes()])


class RunningService:
    """A service behind uvicorn. Tests use it as a context manager and read `port`; processes call `serve`."""

    def __init__(self, service: Service, settings: ServiceSettings) -> None:
        self._service = service
        self._settings = settings
        config = uvicorn.Config(
            application(service),
            host=settings.host,
            port=settings.port,
            ws="websockets-sansio",
            ws_max_size=MAX_WS_MESSAGE_BYTES,
            ws_per_message_deflate=False,
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=65,
            timeout_graceful_shutdown=5,
        )
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None

    @property
    def port(self) -> int:
        assert self._socket is not None
        return int(self._socket.getsockname()[1])

    async def __aenter__(self) -> RunningService:
        # The port is taken before the service starts: a taken port must not leave a worker claiming calls behind.
        self._socket = _bind(self._settings.host, self._settings.port)
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await self._service.start()
            self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
            while not self._server.started:  # uvicorn has no event for it
                if self._serving.done():
                    await self._serving
                    raise RuntimeError("the server ended before it started")
                await asyncio.sleep(0.005)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _end(self) -> None:
        """Close the server with its sockets, then stop the service, whatever became of the server."""
        self._server.should_exit = True
        try:
            if self._serving is not None:
                await self._serving
        finally:
            if self._socket is not None:
                self._socket.close()
            await self._service.stop()

    async def until_signalled(self) -> None:
        """Wait for SIGTERM or SIGINT, then drain within the time the settings give; a second signal ends the drain."""
        loop = asyncio.get_running_loop()
        signalled, again = asyncio.Event(), asyncio.Event()

        def on_signal() -> None:
            (again if signalled.is_set() else signalled).set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        await signalled.wait()
        self._service.draining = True
        telemetry.DRAINING.set(1)
        log.info("draining", extra=fields(timeout_s=self._settings.drain_timeout_s))
        drain = asyncio.create_task(self._drain())
        impatient = asyncio.create_task(again.wait())
        try:
            await asyncio.wait(
                {drain, impatient}, timeout=self._settings.drain_timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            drain.cancel()
            impatient.cancel()
            # A drain that does not let itself be cancelled must not keep the process.
            await asyncio.wait({drain, impatient}, timeout=_CANCEL_TIMEOUT_S)

    async def _drain(self) -> None:
        try:
            await self._service.drain()
        except Exception:
            log.exception("drain failed")
        except asyncio.CancelledError:
            log.warning("drain cut short")
            raise


def _bind(host: str, port: int) -> socket.socket:
    """uvicorn's own way to do this leaves the socket open when the port is taken."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SystemExit(f"{host}:{port} (HOST, PORT) cannot be listened on: {error.strerror}") from error
    return listener


def serve(service: Service, settings: ServiceSettings) -> int:
    """Run until a signal; the process's exit code."""

    async def main() -> None:
        async with RunningService(service, settings) as running:
            log.info("ready", extra=fields(port=running.port))
            await running.until_signalled()
        log.info("stopped")

    asyncio.run(main())
    return 0


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: `until_signalled` has them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
