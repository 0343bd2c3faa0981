"""Many streams on a real cluster: each entry arrives, in order, and an unreachable server delays only its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from bridge_common.base.ids import call_id_of
from bridge_common.redis.clients import RedisClients, command, open_clients
from bridge_common.redis.cluster import ClusterRedis, server_of
from bridge_common.streams.cluster_writer import stream_writer
from bridge_common.streams.reader import StreamReader
from bridge_common.streams.writer import StreamWriter
from bridge_common.wire.entries import AudioFrame, Entry
from bridge_common.wire.entry_codec import encode
from bridge_common.wire.keys import Keys
from lab.redis_cluster import RedisCluster, redis_cluster
from tests.support.eventually import eventually

pytestmark = pytest.mark.timeout(120)

KEYS = Keys(6, spread=True)
UPLINKS = [KEYS.uplink(call_id_of(str(number))) for number in range(30)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
async def spread(cluster: RedisCluster) -> AsyncIterator[RedisClients]:
    cluster.flush()
    clients = open_clients(cluster.url, cluster=True)
    for key in UPLINKS:
        await clients.control.xadd(key, {"e": b""}, id="0-1")
    yield clients
    await clients.aclose()


async def test_one_writer_for_a_single_server(clients: RedisClients) -> None:
    assert type(stream_writer(clients.media)) is StreamWriter


async def test_entries_are_published_on_the_server_of_the_stream(spread: RedisClients) -> None:
    """On a sharded channel, which is not forwarded to the other servers over the bus of the cluster."""
    heard: dict[str, list[Entry]] = {key: [] for key in UPLINKS}
    reader = StreamReader(spread.blocking)
    for key in UPLINKS:
        reader.add(key, "0-1", lambda _, entry, key=key: heard[key].append(entry))  # type: ignore[misc]
    reading = asyncio.create_task(reader.run())
    try:
        for seq in range(1, 4):
            for key in UPLINKS:
                await spread.control.xadd(key, {"e": encode(AudioFrame(b"%d" % seq))}, id=f"7-{seq}")
            said: list[Entry] = [AudioFrame(b"%d" % number) for number in range(1, seq + 1)]
            await eventually(partial(_all_are, heard, said))
        for key in UPLINKS:
            # Published, but not in the stream, so that it cannot be read there.
            message = b"7-4 " + encode(AudioFrame(b"4"))
            await command(server_of(spread.control, key), "SPUBLISH", key, message)
        await eventually(lambda: all(entries[3:] == [AudioFrame(b"4")] for entries in heard.values()))
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


def _all_are(heard: dict[str, list[Entry]], said: list[Entry]) -> bool:
    return all(entries == said for entries in heard.values())


async def test_every_stream_is_written_and_read(cluster: RedisCluster, spread: RedisClients) -> None:
    """The last test of the module, because it kills a server."""
    heard: dict[str, list[Entry]] = {key: [] for key in UPLINKS}
    fenced: list[str] = []
    assert isinstance(spread.media, ClusterRedis)
    reader, writer = StreamReader(spread.blocking), stream_writer(spread.media)
    early, late = UPLINKS[:15], UPLINKS[15:]
    outlets = {key: writer.outlet(key, 7, lambda key=key: fenced.append(key)) for key in early}  # type: ignore[misc]
    for key in early:
        reader.add(key, "0-1", lambda _, entry, key=key: heard[key].append(entry))  # type: ignore[misc]
    working = [asyncio.create_task(reader.run()), asyncio.create_task(writer.run())]
    await asyncio.sleep(0)
    for key in late:
        outlets[key] = writer.outlet(key, 7, lambda key=key: fenced.append(key))  # type: ignore[misc]
        reader.add(key, "0-1", lambda _, entry, key=key: heard[key].append(entry))  # type: ignore[misc]

    def say(first: int, count: int) -> None:
        for number in range(first, first + count):
            for outlet in outlets.values():
                outlet.append(AudioFrame(b"%d" % number))

    say(0, 20)
    await writer.flush()
    said = [AudioFrame(b"%d" % number) for number in range(20)]
    await eventually(lambda: all(entries == said for entries in heard.values()))
    gone = cluster.owner_of(UPLINKS[0])
    there = [key for key in UPLINKS if cluster.owner_of(key) != gone]
    cluster.kill(gone)
    say(20, 20)
    said = [AudioFrame(b"%d" % number) for number in range(40)]
    await eventually(lambda: all(heard[key] == said for key in there))
    assert len(there) < len(UPLINKS)
    assert all(len(heard[key]) == 20 for key in UPLINKS if key not in there)
    assert not fenced
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)
