"""Writer and reader together: entries of one process reach another, once and in order."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from bridge_common.redis.clients import RedisClients
from bridge_common.streams.reader import StreamReader
from bridge_common.streams.subscription import Sink
from bridge_common.streams.writer import Outlet, StreamWriter
from bridge_common.wire.entries import Audio, Entry, Opened
from bridge_common.wire.entry_codec import encode
from tests.integration.support.tcp_proxy import TcpProxy
from tests.support.eventually import eventually

CALLS = 20
FRAMES = 100


class Recorder:
    def __init__(self) -> None:
        self.received: list[bytes] = []

    def sink(self, _: str, entry: Entry) -> None:
        if isinstance(entry, Audio):
            self.received.append(entry.pcm24k)


async def test_frames_of_many_calls_arrive_once_and_in_order_while_connections_drop(
    clients: RedisClients, proxy: TcpProxy, shaky_clients: RedisClients
) -> None:
    writer, reader = StreamWriter(shaky_clients.media), StreamReader(shaky_clients.blocking)
    recorders = [Recorder() for _ in range(CALLS)]
    outlets: list[Outlet] = []
    for n, recorder in enumerate(recorders):
        await clients.control.xadd(f"s{n}", {"e": encode(Opened())}, id="0-1")
        outlets.append(writer.outlet(f"s{n}", 1, lambda: None))
        sink: Sink = recorder.sink
        reader.add(f"s{n}", "0-0", sink)
    tasks = [asyncio.create_task(writer.run()), asyncio.create_task(reader.run())]
    for frame in range(FRAMES):
        for n, outlet in enumerate(outlets):
            outlet.append(Audio("item", bytes([n, frame]) * 480))
        if frame % 25 == 10:
            proxy.cut()
        await asyncio.sleep(0.005)
    await eventually(lambda: all(len(recorder.received) >= FRAMES for recorder in recorders), within_s=10)
    for n, recorder in enumerate(recorders):
        assert recorder.received == [bytes([n, frame]) * 480 for frame in range(FRAMES)]
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
