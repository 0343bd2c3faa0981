"""Lifecycle of a service: event loop, signals, drain, exit.

uvicorn closes open connections when it receives a signal. So this module handles the signals: first the service drains,
then its server is closed. A `Server` listens on the port: by default uvicorn with the routes of the service.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol, runtime_checkable

from bridge_common.base.ids import process_name
from bridge_common.base.log import fields, setup_logging
from bridge_common.observability import telemetry, tracing
from bridge_common.observability.loop_lag import LoopLag
from bridge_common.service.background_tasks import BackgroundTasks
from bridge_common.service.exports import start_exports, stop_exports
from bridge_common.service.garbage_collection import GarbageCollection
from bridge_common.service.readiness import Readiness, log_readiness
from bridge_common.service.settings import ServiceSettings
from bridge_common.service.web_server import Web, WebServer

try:
    import uvloop as loops
except ImportError:  # not available on every platform; asyncio's own loop is slower
    loops = asyncio  # type: ignore[misc]  # both have `new_event_loop`

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LifecycleTiming:
    start_s: float = 30.0
    """Time limit for the start of a service."""
    cancel_s: float = 2.0
    """Time limit for a canceled drain to end."""
    lag_period_s: float = 0.5


class Service(Protocol):
    """The work of a process. `start` returns when it has started, `drain` when the process can exit.

    `stop` releases all resources; it is also called after a `start` that failed or was canceled.
    """

    draining: bool
    parts: BackgroundTasks
    """Background tasks; if one fails, the process exits."""

    async def ready(self) -> Readiness: ...

    async def start(self) -> None: ...

    async def drain(self) -> None: ...

    async def stop(self) -> None: ...


@runtime_checkable
class WebService(Service, Web, Protocol):
    """A service with starlette routes."""


class Server(Protocol):
    """Listens on the port of the service and also answers /livez, /readyz and /metrics."""

    async def open(self, bound: socket.socket) -> None:
        """Listen on this socket. Returns when connections are accepted."""

    async def close(self) -> None:
        """Stop accepting, close the open connections, and return when all are closed. Can be called after a failed
        `open`.
        """


class RunningService:
    """A service and its server. Tests use it as a context manager and read `port`; processes call `serve`."""

    def __init__(
        self,
        service: Service,
        settings: ServiceSettings,
        server: Server | None = None,
        timing: LifecycleTiming | None = None,
    ) -> None:
        self._timing = timing or LifecycleTiming()
        self._service = service
        self._settings = settings
        self._server = server or _web_server(service, settings)
        self._socket: socket.socket | None = None
        self._loop_lag = LoopLag(self._timing.lag_period_s)
        self._signals = _Signals()
        self._readiness: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        assert self._socket is not None
        return int(self._socket.getsockname()[1])

    async def __aenter__(self) -> RunningService:
        # The port is bound before the service starts: if it is in use, no worker must have claimed calls.
        self._socket = _bind(self._settings.host, self._settings.port)
        try:
            async with asyncio.timeout(self._timing.start_s):
                await self._service.start()
            # Before connections are accepted: a signal after that starts a drain.
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
        """Close the server and its sockets, then stop the service, even if that failed."""
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
        """Stop logging readiness, because a process that ends is not ready."""
        if self._readiness is not None:
            self._readiness.cancel()
            await asyncio.wait({self._readiness})
            telemetry.READY.set(0)

    async def until_exit(self) -> int:
        """Wait for a reason to exit, and return the exit code of the process.

        After SIGTERM or SIGINT, drain within `DRAIN_TIMEOUT_S`; a second signal ends the drain. After the failure of a
        background task there is no drain, so that other processes take over its calls sooner.
        """
        signaled = await self._is_signaled()
        await self._end_readiness()
        if not signaled:
            log.critical("background task failed; exiting", extra=fields(reason=self._service.parts.failure))
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
            # A drain that cannot be canceled must not delay the exit.
            await asyncio.wait({drain, impatient}, timeout=self._timing.cancel_s)
        return 0

    async def _is_signaled(self) -> bool:
        """Wait for a signal. Returns False if a background task failed first."""
        signaled = asyncio.create_task(self._signals.first.wait())
        failed = asyncio.create_task(self._service.parts.failed())
        try:
            await asyncio.wait({signaled, failed}, return_when=asyncio.FIRST_COMPLETED)
            return self._signals.first.is_set()
        finally:
            signaled.cancel()
            failed.cancel()
            await asyncio.wait({signaled, failed})

    async def _drain(self) -> None:
        try:
            await self._service.drain()
        except Exception:
            log.exception("drain failed")
        except asyncio.CancelledError:
            log.warning("drain canceled")
            raise


class _Signals:
    """SIGTERM and SIGINT as events."""

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
    """Bind the port. Raises `SystemExit` with the reason if that fails."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SystemExit(f"cannot listen on {host}:{port}: {error.strerror}; check HOST and PORT") from error
    return listener


def _web_server(service: Service, settings: ServiceSettings) -> WebServer:
    assert isinstance(service, WebService), "a service without routes must have its own server"
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
    telemetry.set_build(kind, version("bridge-common"), settings.revision)
    if settings.allow_insecure:
        log.warning("insecure settings allowed", extra=fields(allowed=",".join(settings.allow_insecure)))
    name = process_name(kind)
    start_tracing(
        kind,
        name,
        otlp=bool(settings.otel_exporter_otlp_endpoint or settings.otel_exporter_otlp_traces_endpoint),
        connection_string=settings.applicationinsights_connection_string.get_secret_value(),
    )
    start_exports(kind, name, settings)


def start_tracing(service: str, instance: str, *, otlp: bool, connection_string: str) -> None:
    """Export traces to an OTLP endpoint, to Azure Monitor, to both, or to neither.

    The libraries are imported only here, so that a process without traces stays small. Raises `SystemExit` if they are
    not installed.
    """
    if not otlp and not connection_string:
        return
    try:
        from bridge_common.observability.trace_export import open_tracing
    except ImportError as error:
        raise SystemExit(
            f"traces are enabled, but {error.name} is not installed; install bridge-common[telemetry,azure-monitor]"
        ) from error
    tracing.use(open_tracing(service, instance, otlp=otlp, connection_string=connection_string))


def serve(service: Service, settings: ServiceSettings, server: Server | None = None) -> int:
    """Run until a signal arrives or a background task fails. Returns the exit code of the process."""

    garbage = GarbageCollection()

    async def main() -> int:
        async with RunningService(service, settings, server) as running:
            garbage.start()
            log.info("listening", extra=fields(port=running.port, version=version("bridge-common")))
            code = await running.until_exit()
            garbage.stop()
        log.info("stopped")
        return code

    try:
        with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
            return runner.run(main())
    finally:
        tracing.stop()
        stop_exports()
