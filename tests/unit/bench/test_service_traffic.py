from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

from bench.service_traffic import Peer, Traffic
from bridge_common.wire.entries import AudioFrame
from tests.support.eventually import eventually


class FakeSocket:
    """A peer and an outlet that records messages and entries."""

    def __init__(self) -> None:
        self.sent: list[object] = []
        self.transport: object | None = self
        self.closed = False

    def send(self, message: object) -> None:
        self.sent.append(message)

    append = send


def traffic(sockets: list[FakeSocket], streams: list[FakeSocket]) -> Traffic:
    entry = AudioFrame(b"ab")
    return Traffic(cast(list[Any], sockets), cast(list[Any], streams), b"frame", entry, 50.0, 4.0)


def test_the_first_message_is_due_at_once_and_each_other_at_its_time() -> None:
    (socket,), (stream,) = sockets, streams = [FakeSocket()], [FakeSocket()]
    flowing = traffic(sockets, streams)
    for passed_s, messages, entries in ((-0.001, 0, 0), (0.0, 1, 1), (0.0199, 1, 1), (0.0201, 2, 1), (10.001, 501, 41)):
        flowing.advance(passed_s)
        assert (len(socket.sent), len(stream.sent)) == (messages, entries)
        assert (flowing.to_sockets, flowing.to_streams) == (messages, entries)
    assert set(map(str, socket.sent)) == {"b'frame'"}


def test_calls_are_served_round_robin_within_a_frame() -> None:
    sockets, streams = [FakeSocket() for _ in range(4)], [FakeSocket() for _ in range(4)]
    flowing = traffic(sockets, streams)
    flowing.advance(0.011)
    assert [len(socket.sent) for socket in sockets] == [1, 1, 1, 0]
    flowing.advance(0.999)
    assert {len(socket.sent) for socket in sockets} == {50}
    assert {len(stream.sent) for stream in streams} == {4}


async def test_due_messages_are_sent_until_the_traffic_is_stopped() -> None:
    sockets, streams = [FakeSocket()], [FakeSocket()]
    flowing, stop = traffic(sockets, streams), threading.Event()
    running = asyncio.create_task(asyncio.to_thread(flowing.run, asyncio.get_running_loop(), stop))
    await eventually(lambda: len(sockets[0].sent) >= 5, within_s=5)
    stop.set()
    await running
    assert flowing.to_sockets == len(sockets[0].sent)
    assert len(streams[0].sent) < len(sockets[0].sent)


def test_closed_sockets_and_refused_streams_are_counted() -> None:
    sockets, streams = [FakeSocket(), FakeSocket()], [FakeSocket()]
    flowing = traffic(sockets, streams)
    assert flowing.broken == 0
    sockets[0].transport = None
    streams[0].closed = True
    assert flowing.broken == 2


def test_nothing_is_sent_on_a_closed_socket() -> None:
    peer = Peer()
    peer.send(b"frame")
    assert peer.messages == 0
