"""The ingress and the links, in front of real servers."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.chaos.network import Network, network


class _Replica(socketserver.ThreadingTCPServer):
    """A server that answers each line with its name and the line, and GET /readyz with its readiness."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.name = name
        self.ready = True

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Answer(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Replica)
        for raw in self.rfile:
            if raw.startswith(b"GET"):
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n" if self.server.ready else b"HTTP/1.1 503 No\r\n\r\n")
                return
            self.wfile.write(self.server.name.encode() + b":" + raw)


@contextmanager
def replica(name: str) -> Iterator[_Replica]:
    with _Replica(name) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as net:
        yield net


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=3)


def say(line: socket.socket, text: str) -> str:
    line.sendall(text.encode() + b"\n")
    return line.recv(100).decode().strip()


def is_over(line: socket.socket) -> bool:
    """Whether the peer has closed or reset the connection."""
    try:
        return line.recv(1) == b""
    except ConnectionError:
        return True


def test_a_link_forwards_bytes_until_it_is_cut(net: Network) -> None:
    with replica("a") as server:
        link = net.passage([server.port])
        with dial(link.port) as line:
            assert say(line, "hello") == "a:hello"
            net.run(link.cut())
            assert is_over(line)
        net.run(link.refuse(True))
        with dial(link.port) as line:
            assert is_over(line)


def test_a_partition_delays_everything_and_loses_nothing(net: Network) -> None:
    with replica("a") as server:
        link = net.passage([server.port])
        with dial(link.port) as old:
            assert say(old, "1") == "a:1"
            net.run(link.silence(True))
            old.settimeout(0.2)
            old.sendall(b"2\n")
            with dial(link.port) as new:
                new.settimeout(0.2)
                new.sendall(b"3\n")
                for line in (old, new):
                    with pytest.raises(TimeoutError):
                        line.recv(100)
                net.run(link.silence(False))
                for line, expected in ((old, "a:2"), (new, "a:3")):
                    line.settimeout(3)
                    assert line.recv(100).decode().strip() == expected


def test_the_ingress_distributes_connections_among_ready_replicas(net: Network) -> None:
    with replica("a") as first, replica("b") as second:
        ingress = net.passage([first.port, second.port], probe="/readyz")

        def answers(count: int = 6) -> set[str]:
            found = set()
            for _ in range(count):
                with dial(ingress.port) as line:
                    found.add(say(line, "x").partition(":")[0])
            return found

        def within(expected: set[str]) -> bool:
            deadline = time.monotonic() + 3
            while answers() != expected:
                if time.monotonic() > deadline:
                    return False
            return True

        assert within({"a", "b"})
        with dial(ingress.port) as kept:
            assert say(kept, "hi")
            first.ready = False
            assert within({"b"})
            assert say(kept, "hi")
        first.ready = True
        assert within({"a", "b"})
    with dial(ingress.port) as nobody:
        assert is_over(nobody)
