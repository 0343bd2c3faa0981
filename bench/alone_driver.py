"""The process that stands for everything around one service: `python -m bench.alone_driver <job as JSON>`.

For the gateway it is ACS and the relay: media sockets with the caller's frames, and the agent's audio on the downlink
streams. For the relay it is Voice Live and the gateway. It decodes nothing of what comes back.

Says `ready` when all calls flow; answers each line on its input with its counters as JSON; ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Final

import uvloop

from bench.alone_wire import MediaPeer, RedisPeer, VoicePeer, serve_voice
from bench.bridges import Shape
from bench.metronome import Metronome
from bench.recorded import FRAMES_PER_S, ITEM_ID, Appends, Recording, audio_metadata, client_frame
from bridge_common.base.ids import call_id_of
from bridge_common.redis.clients import RedisClients, open_clients
from bridge_common.store.call_store import CallStore
from bridge_common.store.leases import Leases
from bridge_common.wire import media_token
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import MediaAttached, Playing
from bridge_common.wire.keys import Keys

GATEWAY: Final = "media-gateway"
RELAY: Final = "agent-relay"
READY: Final = "ready"
READY_S: Final = 30.0
_AT_ONCE: Final = 20
_PAUSE_S: Final = 0.25
"""Between so many new sockets and the next: what a call costs while it lasts is measured here, not its beginning."""
_TOKEN_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Job:
    service: str
    shape: Shape
    calls: int
    redis_url: str
    port: int
    """Of the gateway; or where the relay finds Voice Live."""
    media_token_key: str


@dataclass(frozen=True, slots=True)
class Counters:
    """Since the start, over all calls."""

    uplink: int
    """Frames of callers that were sent."""
    downlink: int
    """Deltas of agents that were sent."""
    appended: int
    """Entries that the driver itself put into Redis."""
    arrived: int
    """What came back: bytes on the media sockets, appends on the voice sockets."""
    steps: int
    late: int
    lost: int
    """Sockets."""
    refusal: str
    """By Redis, of an append."""


class Driver:
    def __init__(self, job: Job, redis: RedisPeer) -> None:
        keys = Keys()
        self._job = job
        self._redis = redis
        self._recording = Recording.of(job.shape)
        self._ids = [call_id_of(f"recorded {number}") for number in range(job.calls)]
        self._uplinks = [Appends(keys.uplink(call_id)) for call_id in self._ids]
        self._downlinks = [Appends(keys.downlink(call_id)) for call_id in self._ids]
        self._media: list[MediaPeer] = []
        self._voice: list[VoicePeer] = []
        self._metronomes: list[Metronome] = []
        self._uplink = self._downlink = 0

    def counters(self) -> Counters:
        media, voice = self._media, self._voice
        return Counters(
            uplink=self._uplink,
            downlink=self._downlink,
            appended=self._redis.appended,
            arrived=sum(peer.heard_bytes for peer in media) + sum(peer.appends for peer in voice),
            steps=sum(metronome.steps for metronome in self._metronomes),
            late=sum(metronome.late for metronome in self._metronomes),
            lost=sum(peer.lost for peer in media) + sum(peer.lost for peer in voice),
            refusal=self._redis.refusal,
        )

    async def start(self, clients: RedisClients) -> None:
        """Return when all calls stand and their audio flows."""
        store = CallStore(clients.control, Keys())
        for call_id in self._ids:
            record = CallRecord(call_id=call_id, status=Status.CONNECTED, created_ms=int(time.time() * 1000))
            await store.create(record)
        if self._job.service == GATEWAY:
            await self._open_media()
        else:
            await self._hold_voice(clients)
        self._play()

    def stop(self) -> None:
        for metronome in self._metronomes:
            metronome.stop()

    # -- around the gateway
    async def _open_media(self) -> None:
        expires_s = int(time.time()) + _TOKEN_S
        for start in range(0, len(self._ids), _AT_ONCE):
            some = self._ids[start : start + _AT_ONCE]
            self._media += await asyncio.gather(*(self._open_one(call_id, expires_s) for call_id in some))
            await asyncio.sleep(_PAUSE_S)

    async def _open_one(self, call_id: str, expires_s: int) -> MediaPeer:
        token = media_token.mint([self._job.media_token_key], call_id, expires_s)
        peer = MediaPeer(f"/ws/{call_id}/{token}", f"127.0.0.1:{self._job.port}")
        await asyncio.get_running_loop().create_connection(lambda: peer, "127.0.0.1", self._job.port)
        await peer.open
        peer.send(client_frame(audio_metadata()))
        return peer

    def _say_to_gateway(self, number: int) -> None:
        self._media[number].send(self._recording.media_frame)
        self._uplink += 1

    def _play_to_gateway(self, number: int) -> None:
        self._redis.append(self._downlinks[number].next(self._recording.downlink))
        self._downlink += 1

    # -- around the relay
    async def _hold_voice(self, clients: RedisClients) -> None:
        all_there = asyncio.Event()

        def ready(peer: VoicePeer) -> None:
            self._voice.append(peer)
            if len(self._voice) >= len(self._ids):
                all_there.set()

        await serve_voice(self._job.port, ready)
        leases = Leases(clients.control, Keys(), "driver")
        for call_id, uplink in zip(self._ids, self._uplinks, strict=True):
            await leases.offer(call_id)
            # What a gateway says first, and what it says of the agent's first audio.
            for entry in (MediaAttached(16_000), Playing(ITEM_ID)):
                self._redis.append(uplink.next(entry))
        await all_there.wait()

    def _say_to_relay(self, number: int) -> None:
        self._redis.append(self._uplinks[number].next(self._recording.uplink))
        self._uplink += 1

    def _play_to_relay(self, number: int) -> None:
        self._voice[number].send(self._recording.delta)
        self._downlink += 1

    # -- the beat
    def _play(self) -> None:
        """Every call has its own moment within the frame, as far apart as they fit."""
        calls, job = self._job.calls, self._job
        to_gateway = job.service == GATEWAY
        say = self._say_to_gateway if to_gateway else self._say_to_relay
        play = self._play_to_gateway if to_gateway else self._play_to_relay

        def both(number: int) -> None:
            say(number % calls)
            play((number + calls // 2) % calls)

        if job.shape is Shape.ECHO:
            self._metronomes = [Metronome(calls * FRAMES_PER_S, both)]
        else:
            self._metronomes = [
                Metronome(calls * FRAMES_PER_S, lambda number: say(number % calls)),
                Metronome(calls * self._recording.deltas_per_s, lambda number: play(number % calls)),
            ]


async def drive(job: Job) -> None:
    loop = asyncio.get_running_loop()
    clients = open_clients(job.redis_url)
    host, port, database = redis_address(clients)
    _, redis = await loop.create_connection(RedisPeer, host, port)
    if database:
        redis.append(b"SELECT %d\r\n" % database)
    driver = Driver(job, redis)
    async with asyncio.timeout(READY_S):
        await driver.start(clients)
    print(READY, flush=True)
    asked = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    while await asked.readline():
        print(json.dumps(asdict(driver.counters())), flush=True)
    driver.stop()
    await clients.aclose()


def redis_address(clients: RedisClients) -> tuple[str, int, int]:
    """Host, port and database number. Recorded traffic goes over plain TCP and without a password."""
    told = clients.media.connection_pool.connection_kwargs
    return str(told.get("host", "127.0.0.1")), int(told.get("port", 6379)), int(told.get("db") or 0)


def main() -> int:
    told = json.loads(sys.argv[1])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(drive(Job(**{**told, "shape": Shape(told["shape"])})))
    return 0


if __name__ == "__main__":
    sys.exit(main())
