"""Traffic for one service: prepared messages are sent on schedule, responses are counted and not decoded.

For the gateway it replaces ACS and the relay; for the relay it replaces Voice Live and the gateway. The calls are
spread over the 20 ms of a frame; due messages are sent five times per millisecond.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_connect, ws_create_server

from bench.bridges import Shape
from bench.recorded import FRAMES_PER_S, ITEM_ID, RESPONSE_ID, Recording, voice_event
from bridge_common.base.ids import call_id_of
from bridge_common.redis.clients import RedisClients, open_clients
from bridge_common.store.call_store import CallStore
from bridge_common.store.leases import Leases
from bridge_common.streams.cluster_writer import stream_writer
from bridge_common.streams.writer import Outlet
from bridge_common.wire import media_token
from bridge_common.wire.audio import PHONE_RATE_HZ
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import Entry, MediaAttached, Playing
from bridge_common.wire.keys import Keys
from lab.acs.media_codec import encode_metadata
from lab.stack import MEDIA_TOKEN_KEY

GATEWAY: Final = "media-gateway"
RELAY: Final = "agent-relay"
_READY_S: Final = 30.0
_TOKEN_S: Final = 3600
_TICK_S: Final = 0.0002
_OPEN_PAUSE_S: Final = 0.01
"""Pause between new sockets, because the start of calls is not measured here."""


class Peer(WSListener):
    """The peer of a media socket or, with `on_ready`, of a voice socket, on which it sets up the session first."""

    def __init__(self, on_ready: Callable[[Peer], None] | None = None) -> None:
        self.messages = 0
        self.bytes = 0
        self.transport: WSTransport | None = None
        self._on_ready = on_ready

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        if self._on_ready:
            self.send(voice_event("session.created", session={"id": "sess_recorded", "model": "recorded"}))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if not self._on_ready:
            self.messages += 1
            self.bytes += len(frame.get_payload_as_memoryview())
        elif b'"session.update"' in frame.get_payload_as_bytes():
            self.send(voice_event("session.updated", session={"id": "sess_recorded", "model": "recorded"}))
            self.send(voice_event("response.created", response={"id": RESPONSE_ID, "status": "in_progress"}))
            self._on_ready(self)
            self._on_ready = None

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.transport = None

    def send(self, message: bytes) -> None:
        if self.transport is not None:
            self.transport.send(WSMsgType.TEXT, message)


@dataclass(slots=True)
class Traffic:
    """Sends and receives for all calls, round robin in each direction. A late step does not delay the
    following ones.
    """

    peers: list[Peer]
    outlets: list[Outlet]
    message: bytes
    entry: Entry
    messages_per_s: float
    """Messages sent on each socket."""
    entries_per_s: float
    """Entries appended to each stream."""
    to_sockets: int = 0
    to_streams: int = 0

    def advance(self, passed_s: float) -> None:
        """Send everything that is due `passed_s` seconds after the start."""
        calls = len(self.peers)
        while self.to_sockets <= passed_s * self.messages_per_s * calls:
            self.peers[self.to_sockets % calls].send(self.message)
            self.to_sockets += 1
        while self.to_streams <= passed_s * self.entries_per_s * calls:
            self.outlets[self.to_streams % calls].append(self.entry)
            self.to_streams += 1

    def run(self, loop: asyncio.AbstractEventLoop, stop: threading.Event) -> None:
        """Send until the end. Run it in a thread: timers of an event loop have steps of 1 ms, so it would send many
        frames at once.
        """
        began = time.monotonic()
        while not stop.wait(_TICK_S):
            loop.call_soon_threadsafe(lambda: self.advance(time.monotonic() - began))

    @property
    def broken(self) -> int:
        """Number of sockets that were closed, and of streams that rejected an entry."""
        return sum(peer.transport is None for peer in self.peers) + sum(outlet.closed for outlet in self.outlets)


@asynccontextmanager
async def traffic(service: str, shape: Shape, calls: int, redis_url: str, port: int) -> AsyncIterator[Traffic]:
    """Start the traffic. Yields when all calls have audio. `port`: of the gateway, or on which the relay expects Voice
    Live.
    """
    clients, keys, recording = open_clients(redis_url), Keys(), Recording.of(shape)
    writer = stream_writer(clients.media)
    ids = [call_id_of(f"recorded {number}") for number in range(calls)]
    streams = [keys.downlink(call_id) if service == GATEWAY else keys.uplink(call_id) for call_id in ids]
    outlets = [writer.outlet(stream, 1, lambda: None) for stream in streams]
    deltas_per_s = 1000 / shape.delta_ms
    async with AsyncExitStack() as exits:
        exits.push_async_callback(clients.aclose)
        exits.push_async_callback(_cancel, asyncio.create_task(writer.run()))
        peers: list[Peer] = []
        exits.push_async_callback(_disconnect, peers)
        async with asyncio.timeout(_READY_S):
            await _create_calls(clients, keys, ids)
            if service == GATEWAY:
                peers += [await _open_media(call_id, port) for call_id in ids]
                sent = (recording.media_message, recording.downlink, float(FRAMES_PER_S), deltas_per_s)
            else:
                server = await _accept_voice(Leases(clients.control, keys, "bench"), ids, outlets, port, peers)
                exits.callback(server.close)
                sent = (recording.delta, recording.uplink, deltas_per_s, float(FRAMES_PER_S))
        flowing = Traffic(peers, outlets, *sent)
        stop = threading.Event()
        running = asyncio.create_task(asyncio.to_thread(flowing.run, asyncio.get_running_loop(), stop))
        exits.push_async_callback(asyncio.wait, [running])
        exits.callback(stop.set)
        yield flowing


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _disconnect(peers: list[Peer]) -> None:
    transports = [peer.transport for peer in peers if peer.transport is not None]
    for transport in transports:
        transport.disconnect()
    await asyncio.gather(*(transport.wait_disconnected() for transport in transports))


async def _create_calls(clients: RedisClients, keys: Keys, ids: list[str]) -> None:
    store = CallStore(clients.control, keys)
    for call_id in ids:
        await store.create(CallRecord(call_id=call_id, status=Status.CONNECTED, created_ms=int(time.time() * 1000)))


async def _open_media(call_id: str, port: int) -> Peer:
    token = media_token.mint([MEDIA_TOKEN_KEY], call_id, int(time.time()) + _TOKEN_S)
    peer = Peer()
    await ws_connect(lambda: peer, f"ws://127.0.0.1:{port}/ws/{call_id}/{token}")
    peer.send(encode_metadata("recorded", PHONE_RATE_HZ))
    await asyncio.sleep(_OPEN_PAUSE_S)
    return peer


async def _accept_voice(
    leases: Leases, ids: list[str], outlets: list[Outlet], port: int, peers: list[Peer]
) -> asyncio.Server:
    """Accept the voice sockets. Returns when the relay has set up a session for each call."""
    complete = asyncio.Event()

    def ready(peer: Peer) -> None:
        peers.append(peer)
        if len(peers) == len(ids):
            complete.set()

    def accept(_: WSUpgradeRequest) -> Peer:
        return Peer(ready)

    server = await ws_create_server(accept, "127.0.0.1", port)
    for call_id, outlet in zip(ids, outlets, strict=True):
        await leases.offer(call_id)
        # The first entries of a gateway, and the start of the agent's first audio.
        outlet.append(MediaAttached(PHONE_RATE_HZ))
        outlet.append(Playing(ITEM_ID))
    await complete.wait()
    return server
