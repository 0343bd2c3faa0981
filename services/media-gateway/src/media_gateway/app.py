"""media-gateway: the service put together, and its console script."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Final

from starlette.routing import BaseRoute

from bridge_common.base.errors import OutsideError
from bridge_common.base.ids import process_name
from bridge_common.observability import telemetry
from bridge_common.redis.clients import clients_of
from bridge_common.service.background_tasks import BackgroundTasks
from bridge_common.service.lifecycle import serve, set_up
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
from media_gateway.drain import drain
from media_gateway.recordings import APOLOGY, WAIT, load_recording
from media_gateway.relay_watch import RelayWatch
from media_gateway.settings import GatewaySettings
from media_gateway.socket.gateway_server import gateway_server
from media_gateway.socket.media_session import MediaSession
from media_gateway.socket.media_socket import MediaSockets
from media_gateway.socket_context import SocketContext
from media_gateway.ticker import Ticker

log = logging.getLogger(__name__)

KIND: Final = "media-gateway"
_LAST_WORDS_S: Final = 1.0
_STAMP_S: Final = 0.5


class MediaGateway:
    """One replica. Any socket of any call may come to any replica: what it needs is in Redis."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.draining = False
        self.parts = BackgroundTasks()
        self.name = process_name(KIND)
        self._settings = settings
        self._clients = clients_of(settings)
        control = self._clients.control
        keys = Keys(settings.redis_shards, spread=settings.redis_cluster)
        self._around = SocketContext(
            settings=settings,
            keys=keys,
            store=CallStore(control, keys),
            inbox=Inbox(control, self._clients.blocking, keys, self.name),
            reader=StreamReader(self._clients.blocking),
            writer=stream_writer(self._clients.media),
            ticker=Ticker(),
            admission=Admission(settings.gateway_capacity),
            apology=load_recording(settings.apology_audio, APOLOGY),
            wait_phrase=load_recording(settings.wait_audio, WAIT),
        )
        self._fleet = Fleet(control, self.name, KIND, keys)
        self._watch = RelayWatch(Leases(control, keys, self.name), self._around.inbox, self._sessions)
        self._tokens = settings.acs_tokens()

    def server(self, ws: str = "") -> WebServer:
        """`ws`: a WebSocket implementation of uvicorn in place of our own."""
        return gateway_server(self, self._settings, ws=ws, readiness=self._readiness)

    def routes(self) -> Sequence[BaseRoute]:
        return MediaSockets(self._around, self._tokens).routes()

    async def ready(self) -> str:
        """Empty when new sockets may come, else the reason why not. Goes by the last heartbeat, so it never waits."""
        if self.draining:
            return "draining"
        if not self.parts.running:
            return self.parts.failure or "starting"
        return self._around.admission.refusal() or self._fleet.unready

    def _readiness(self) -> dict[str, object]:
        return {"redis_answered_s_ago": round(min(self._fleet.beat_age_s, 999.0), 3)}

    async def start(self) -> None:
        metrics.WAITING_S.set_function(self._waiting_s)
        telemetry.WRITER_WAITING.set_function(lambda: self._around.writer.waiting)
        self.parts.start("redis connections", self._clients.warm_up(), may_end=True)
        self.parts.start("reader", self._around.reader.run())
        self.parts.start("writer", self._around.writer.run())
        self.parts.start("heartbeat", self._beat())
        self.parts.start("relay watch", self._watch.run())
        self.parts.start("stamps", self._stamp())
        self.parts.start("signing keys", self._tokens.keep_fresh(), may_end=True)

    async def drain(self) -> None:
        await drain(self._around.admission, self._settings.drain_timeout_s)

    async def stop(self) -> None:
        if self.parts.running:
            with contextlib.suppress(TimeoutError):
                # The last entries that the sockets wrote when they were closed.
                async with asyncio.timeout(_LAST_WORDS_S):
                    await self._around.writer.flush()
        self._around.ticker.stop()
        await self.parts.stop()
        with contextlib.suppress(OutsideError):
            await self._fleet.leave()
        await self._clients.aclose()

    async def _beat(self) -> None:
        admission = self._around.admission
        while True:
            with contextlib.suppress(OutsideError):
                await self._fleet.beat(
                    capacity=admission.capacity, active=admission.active, draining=self.draining or admission.draining
                )
            await asyncio.sleep(BEAT_S)

    async def _stamp(self) -> None:
        while True:
            await asyncio.sleep(_STAMP_S)
            for session in self._sessions():
                session.stamp()

    def _sessions(self) -> list[MediaSession]:
        return [socket for socket in self._around.admission.sockets() if isinstance(socket, MediaSession)]

    def _waiting_s(self) -> float:
        return sum(session.waiting_s for session in self._sessions())


def main() -> int:
    settings = load_settings(GatewaySettings)
    set_up(KIND, settings)
    gateway = MediaGateway(settings)
    return serve(gateway, settings, gateway.server())
