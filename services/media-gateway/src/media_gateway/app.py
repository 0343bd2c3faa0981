"""The service media-gateway: wiring and console script."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final

from starlette.routing import BaseRoute

from bridge_common.base.errors import OutsideError
from bridge_common.base.ids import process_name
from bridge_common.observability import media_metrics
from bridge_common.redis.clients import clients_of
from bridge_common.service.background_tasks import BackgroundTasks
from bridge_common.service.lifecycle import serve, set_up
from bridge_common.service.readiness import Readiness, ReadinessGate
from bridge_common.service.secret_reloader import LiveSecrets
from bridge_common.service.settings import load_settings
from bridge_common.service.web_server import WebServer
from bridge_common.store.call_store import CallStore
from bridge_common.store.fleet import BEAT_S, Fleet
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Leases
from bridge_common.streams.cluster_writer import stream_writer
from bridge_common.streams.reader import StreamReader
from bridge_common.wire.keys import Keys
from media_gateway import metrics
from media_gateway.admission import Admission
from media_gateway.recordings import APOLOGY, WAIT, load_recordings
from media_gateway.relay_watch import RelayWatch, RelayWatchTiming
from media_gateway.settings import GatewaySettings
from media_gateway.socket.gateway_server import gateway_server
from media_gateway.socket.media_session import MediaSession
from media_gateway.socket.media_socket import MediaSockets
from media_gateway.socket_context import SocketContext, SocketLimits
from media_gateway.ticker import Ticker

log = logging.getLogger(__name__)

KIND: Final = "media-gateway"
_FLUSH_S: Final = 1.0
"""Time limit for writing the last entries of the closed sockets."""
_PROBE_S: Final = 0.5


class MediaGateway:
    """One replica. Any replica can serve any media socket, because the state of calls is in Redis."""

    def __init__(
        self, settings: GatewaySettings, limits: SocketLimits | None = None, watch: RelayWatchTiming | None = None
    ) -> None:
        self._limits = limits or SocketLimits()
        self.draining = False
        self.parts = BackgroundTasks()
        self.name = process_name(KIND)
        self._settings = settings
        self._gate = ReadinessGate(settings.unready_after_s)
        self._secrets = LiveSecrets(settings)
        self._clients = clients_of(settings)
        control = self._clients.control
        keys = Keys(settings.redis_shards, spread=settings.redis_cluster)
        self.context = SocketContext(
            settings=settings,
            keys=keys,
            store=CallStore(control, keys),
            inbox=Inbox(control, self._clients.blocking, keys, self.name),
            reader=StreamReader(self._clients.blocking),
            writer=stream_writer(self._clients.media),
            ticker=Ticker(),
            admission=Admission(settings.gateway_capacity, self._limits.attaches_per_s),
            limits=self._limits,
            apologies=load_recordings(settings.apology_audio, APOLOGY),
            wait_phrases=load_recordings(settings.wait_audio, WAIT),
        )
        self._fleet = Fleet(control, self.name, KIND, keys)
        leases = Leases(control, keys, self.name)
        self._watch = RelayWatch(leases, self.context.inbox, self.context.store, self._sessions, watch)
        self._tokens = settings.acs_tokens()

    def server(self, ws: str = "") -> WebServer:
        """Create the server. `ws`: a WebSocket implementation of uvicorn, instead of the gateway's own."""
        return gateway_server(self, self._settings, ws=ws, limits=self._limits, readiness=self._readiness)

    def routes(self) -> Sequence[BaseRoute]:
        return MediaSockets(self.context, self._tokens, self._secrets.keys("media_token_keys")).routes()

    async def ready(self) -> Readiness:
        admission = self.context.admission
        blocked = "" if self.parts.running else self.parts.failure or "starting"
        if self.draining or admission.draining:
            blocked = "draining"
        return self._gate.judge(blocked=blocked, faults=[self._fleet.fault], degraded=admission.full())

    def _readiness(self) -> dict[str, object]:
        return {"redis_answered_s_ago": round(min(self._fleet.beat_age_s, 999.0), 3)}

    async def start(self) -> None:
        metrics.WAITING_S.set_function(self._waiting_s)
        media_metrics.CAPACITY.set(self.context.admission.capacity)
        media_metrics.WRITER_WAITING.set_function(lambda: self.context.writer.waiting)
        self.parts.start("redis connections", self._clients.warm_up(), may_end=True)
        self.parts.start("reader", self.context.reader.run())
        self.parts.start("writer", self.context.writer.run())
        self.parts.start("heartbeat", self._beat())
        self.parts.start("relay watch", self._watch.run())
        self.parts.start("latency probes", self._probe())
        self.parts.start("secrets", self._secrets.run(), may_end=True)
        self.parts.start("signing keys", self._tokens.keep_fresh(), may_end=True)

    async def drain(self) -> None:
        await self.context.admission.drain(self._settings.drain_timeout_s)

    async def stop(self) -> None:
        if self.parts.running:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_S):
                    await self.context.writer.flush()
        self.context.ticker.stop()
        await self.parts.stop()
        with contextlib.suppress(OutsideError):
            await self._fleet.leave()
        await self._clients.aclose()

    async def _beat(self) -> None:
        admission = self.context.admission
        while True:
            with contextlib.suppress(OutsideError):
                await self._fleet.beat(
                    capacity=admission.capacity, active=admission.active, draining=self.draining or admission.draining
                )
            await asyncio.sleep(BEAT_S)

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(_PROBE_S)
            for session in self._sessions():
                session.probe()

    def _sessions(self) -> list[MediaSession]:
        return [socket for socket in self.context.admission.sockets() if isinstance(socket, MediaSession)]

    def _waiting_s(self) -> float:
        return sum(session.waiting_s for session in self._sessions())


def main() -> int:
    settings = load_settings(GatewaySettings)
    set_up(KIND, settings)
    gateway = MediaGateway(settings)
    return serve(gateway, settings, gateway.server())
