"""Runs the real media-gateway on a free port with a real Redis; the test acts as the relay and call-control."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from bridge_common.base.ids import call_id_of
from bridge_common.redis.clients import RedisClients
from bridge_common.service.lifecycle import RunningService
from bridge_common.store.call_store import CallStore
from bridge_common.store.inbox import Inbox
from bridge_common.streams.reader import StreamReader
from bridge_common.streams.writer import Outlet, StreamWriter
from bridge_common.wire import media_token
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import AudioFrame, Entry, InboxEntry
from bridge_common.wire.keys import Keys
from media_gateway.app import MediaGateway
from media_gateway.relay_watch import RelayWatchTiming
from media_gateway.settings import GatewaySettings
from media_gateway.socket_context import SocketLimits
from tests.integration.support.acs_media_peer import CALLER, AcsMediaPeer, dial
from tests.support.eventually import eventually

TOKEN_KEY = "a-key-only-for-tests"


@dataclass
class Line:
    """One call from the side of a relay and call-control."""

    call_id: str
    store: CallStore
    inbox: Inbox
    downlink: Outlet
    uplink: list[tuple[str, Entry]] = field(default_factory=list)

    def said(self, kind: type[Entry]) -> list[Entry]:
        return [entry for _, entry in self.uplink if isinstance(entry, kind)]

    def has_said(self, kind: type[Entry], times: int) -> bool:
        return len(self.said(kind)) == times

    def has_said_at_least(self, kind: type[Entry], times: int) -> bool:
        return len(self.said(kind)) >= times

    async def told(self, kind: type[InboxEntry]) -> list[InboxEntry]:
        """Return the entries of this kind that have arrived in the inbox since the last call of this method."""
        deliveries = await self.inbox.read(block_ms=20, count=100)
        for delivery in deliveries:
            await self.inbox.ack(delivery)
        return [delivery.entry for delivery in deliveries if isinstance(delivery.entry, kind)]

    async def await_told(self, kind: type[InboxEntry], times: int = 1) -> list[InboxEntry]:
        """Wait until `times` entries of this kind have arrived in the inbox. Fails if there are more."""
        found: list[InboxEntry] = []

        async def enough() -> bool:
            found.extend(await self.told(kind))
            return len(found) >= times

        await eventually(enough, what=f"{times} {kind.__name__} in the inbox")
        assert len(found) == times
        return found


@dataclass
class Gateway:
    service: MediaGateway
    running: RunningService

    def url(self, call_id: str, token: str | None = None) -> str:
        token = token or media_token.mint([TOKEN_KEY], call_id, int(time.time()) + 60)
        return f"ws://127.0.0.1:{self.running.port}/ws/{call_id}/{token}"

    def path(self, call_id: str) -> str:
        return "/ws/" + self.url(call_id).partition("/ws/")[2]

    def dial(self, call_id: str, authorization: str | None = None) -> AbstractAsyncContextManager[AcsMediaPeer]:
        return dial(self.url(call_id), authorization)


StartGateway = Callable[..., AbstractAsyncContextManager[Gateway]]
OpenLine = Callable[[str], AbstractAsyncContextManager[Line]]


@asynccontextmanager
async def running_gateway(
    redis_url: str,
    ws: str = "",
    *,
    limits: SocketLimits | None = None,
    watch: RelayWatchTiming | None = None,
    **changes: object,
) -> AsyncIterator[Gateway]:
    values: dict[str, object] = {
        "redis_url": redis_url,
        "host": "127.0.0.1",
        "port": 0,
        "media_token_keys": (TOKEN_KEY,),
        "acs_jwt_mode": "off",
        "allow_insecure": "unchecked-tokens",
    }
    settings = GatewaySettings.model_validate({**values, **changes})
    service = MediaGateway(settings, limits, watch)
    async with RunningService(service, settings, service.server(ws)) as running:
        yield Gateway(service, running)


@asynccontextmanager
async def open_line(clients: RedisClients, keys: Keys, correlation_id: str) -> AsyncIterator[Line]:
    """Create a connected call with its record and streams, and a reader and a writer like those of a relay."""
    store = CallStore(clients.control, keys)
    call_id = call_id_of(correlation_id)
    record = CallRecord(call_id=call_id, status=Status.CONNECTED, created_ms=1, caller=CALLER, connection_id="leg-1")
    assert await store.create(record)
    inbox = Inbox(clients.control, clients.blocking, keys, "test")
    await inbox.ensure_group()
    writer, reader = StreamWriter(clients.media), StreamReader(clients.blocking)
    line = Line(call_id, store, inbox, writer.outlet(keys.downlink(call_id), 1, lambda: None))
    reader.add(keys.uplink(call_id), "0-0", lambda entry_id, entry: line.uplink.append((entry_id, entry)))
    tasks = [asyncio.create_task(writer.run()), asyncio.create_task(reader.run())]
    try:
        yield line
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def tone(ms: int, rate_hz: int, hz: float = 400, level: int = 8000) -> bytes:
    n = np.arange(ms * rate_hz // 1000)
    return bytes(np.rint(level * np.sin(2 * np.pi * hz * n / rate_hz)).astype("<i2").tobytes())


def level(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2").astype(float)
    return float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0


def audio_of(line: Line) -> list[bytes]:
    return [entry.pcm24k for entry in line.said(AudioFrame) if isinstance(entry, AudioFrame)]
