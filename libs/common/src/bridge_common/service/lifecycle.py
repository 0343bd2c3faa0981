"""Lifecycle of a service: event loop, signals, drain, exit.

uvicorn closes open connections as soon as it receives a signal. So this module handles the signals: first the service
drains, then its server is closed. A `Server` listens on the port: uvicorn with the service's routes, unless the service
has its own.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from importlib.metadata import version
from typing import Final, Protocol, runtime_checkable

from bridge_common.base.ids import process_name
from bridge_common.base.log import fields, setup_logging
from bridge_common.observability import telemetry, tracing
from bridge_common.observability.loop_lag import LoopLag
from bridge_common.service.background_tasks import BackgroundTasks
from bridge_common.service.garbage_collection import GarbageCollection
from bridge_common.service.readiness import log_readiness
from bridge_common.service.settings import ServiceSettings
from bridge_common.service.web_server import Web, WebServer

try:
    import uvloop as loops
except ImportError:  # not made for every platform; asyncio's own loop does the same, slower
    loops = asyncio  # type: ignore[misc]  # the two have `new_event_loop` in common

log = logging.getLogger(__name__)

_START_TIMEOUT_S: Final = 30
_CANCEL_TIMEOUT_S: Final = 2


class Service(Protocol):
    """One process's work. `start` returns when it is ready; `drain` when it can exit.

    `stop` releases everything; it is called after a `start` that failed or was cancelled as well.
    """

    draining: bool
    parts: BackgroundTasks
    """Background tasks; if one fails, the process exits."""

    async def ready(self) -> str:
        """Empty when new work may come, else the reason why not: what /readyz answers."""
        ...

    async def start(self) -> None: ...

    async def drain(self) -> None: ...

    async def stop(self) -> None: ...


@runtime_checkable
class WebService(Service, Web, Protocol):
    """A service that answers through starlette routes."""


class Server(Protocol):
    """Listens on the service's port, with /livez, /readyz and /metrics among its answers."""

    async def open(self, bound: socket.socket) -> None:
        """Listen on this socket; return when connections are taken."""

    async def close(self) -> None:
        """Take no more, end what is still open, and return when all of it is done. Also after an `open` that failed."""


class RunningService:
    """A service behind its server. Tests use it as a context manager and read `port`; processes call `serve`."""

    def __init__(self, service: Service, settings: ServiceSettings, server: Server | None = None) -> None:
        self._service = service
        self._settings = settings
        self._server = server or _web_server(service, settings)
        self._socket: socket.socket | None = None
        self._loop_lag = LoopLag()
        self._signals = _Signals()
        self._readiness: asyncio.Task[None] | None = None

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
            # Before the port answers: a signal from then on means a drain.
            self._signals.catch()
            await self._server.open(self._socket)
            self._loop_lag.start()
            self._readiness = asyncio.create_task(log_readiness(self._service.ready, self.port))
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _end(self) -> None:
        """Close the server with its sockets, then stop the service, whatever became of the server."""
        self._loop_lag.stop()
        try:
            await self._end_readiness()
            await self._server.close()
        finally:
            if self._socket is not None:
                self._socket.close()
            try:
                await self._service.stop()
            finally:
                self._signals.release()

    async def _end_readiness(self) -> None:
        """From now on the log need not report it: a process that ends is not ready."""
        if self._readiness is not None:
            self._readiness.cancel()
            await asyncio.wait({self._readiness})

    async def until_told(self) -> int:
        """Wait for a reason to end; the process's exit code.

        After SIGTERM or SIGINT drain within the time the settings give; a second signal ends the drain. When a part
        has died there is no drain: what it carried is with others all the sooner.
        """
        signaled = await self._is_signaled()
        await self._end_readiness()
        if not signaled:
            log.critical("ending: %s", self._service.parts.failure)
            return 1
        self._service.draining = True
        telemetry.DRAINING.set(1)
        log.info("draining", extra=fields(timeout_s=self._settings.drain_timeout_s))
        drain = asyncio.create_task(self._drain())
        impatient = asyncio.create_task(self._signals.second.wait())
        try:
            await asyncio.wait(
                {drain, impatient}, timeout=self._settings.drain_timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            drain.cancel()
            impatient.cancel()
            # A drain that does not let itself be cancelled must not keep the process.
            await asyncio.wait({drain, impatient}, timeout=_CANCEL_TIMEOUT_S)
        return 0

    async def _is_signaled(self) -> bool:
        """Wait for a signal; False when a part of the service failed first."""
        told = asyncio.create_task(self._signals.first.wait())
        failed = asyncio.create_task(self._service.parts.failed())
        try:
            await asyncio.wait({told, failed}, return_when=asyncio.FIRST_COMPLETED)
            return self._signals.first.is_set()
        finally:
            told.cancel()
            failed.cancel()
            await asyncio.wait({told, failed})

    async def _drain(self) -> None:
        try:
            await self._service.drain()
        except Exception:
            log.exception("drain failed")
        except asyncio.CancelledError:
            log.warning("drain cut short")
            raise


class _Signals:
    """SIGTERM and SIGINT of this process as events."""

    def __init__(self) -> None:
        self.first, self.second = asyncio.Event(), asyncio.Event()

    def catch(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)

    def release(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)

    def _on_signal(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


def _bind(host: str, port: int) -> socket.socket:
    """Raises `SystemExit` with the reason when the port cannot be had."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SystemExit(f"{host}:{port} (HOST, PORT) cannot be listened on: {error.strerror}") from error
    return listener


def _web_server(service: Service, settings: ServiceSettings) -> WebServer:
    assert isinstance(service, WebService), "a service without routes brings a server of its own"
    return WebServer(service, settings)


def set_up(kind: str, settings: ServiceSettings) -> None:
    """Set up logging, and tracing if it is enabled."""
    setup_logging(
        kind,
        settings.log_level,
        settings.log_format,
        phone_key=settings.log_phone_key.get_secret_value(),
        shows_words=settings.log_transcripts,
    )
    if settings.allow_insecure:
        log.warning("insecure settings allowed", extra=fields(allowed=",".join(settings.allow_insecure)))
    start_tracing(
        kind,
        process_name(kind),
        otlp=bool(settings.otel_exporter_otlp_endpoint or settings.otel_exporter_otlp_traces_endpoint),
        connection_string=settings.applicationinsights_connection_string.get_secret_value(),
    )


def start_tracing(service: str, instance: str, *, otlp: bool, connection_string: str) -> None:
    """Trace to an OTLP endpoint, to Azure Monitor, to both or to nothing.

    The libraries for it are loaded here and not before: a process that does not trace is as small as without them.
    Raises `SystemExit` when they are not installed.
    """
    if not otlp and not connection_string:
        return
    try:
        from bridge_common.observability.trace_export import open_tracing
    except ImportError as error:
        raise SystemExit(
            f"Traces are switched on, but {error.name} is not installed: add bridge-common[telemetry,azure-monitor]"
        ) from error
    tracing.use(open_tracing(service, instance, otlp=otlp, connection_string=connection_string))


def serve(service: Service, settings: ServiceSettings, server: Server | None = None) -> int:
    """Run until a signal, or until a part of the service dies; the process's exit code."""

    garbage = GarbageCollection()

    async def main() -> int:
        async with RunningService(service, settings, server) as running:
            garbage.start()
            log.info("listening", extra=fields(port=running.port, version=version("bridge-common")))
            code = await running.until_told()
            garbage.stop()
        log.info("stopped")
        return code

    try:
        with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
            return runner.run(main())
    finally:
        tracing.stop()
