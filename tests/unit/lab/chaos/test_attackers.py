"""Each attack reaches its target, and the sink answers like a gateway that rejects the connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from lab.chaos.attack import REQUEST_ATTACKS, SOCKET_ATTACKS, attacker, sink_port
from lab.chaos.attackers import FRAMES, KINDS, Order

HEAD = b"GET /ws/x HTTP/1.1\r\nHost: x\r\n\r\n"


class Target:
    """Accepts connections and records up to 200 kB of each."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            with line:
                line.settimeout(0.2)
                received = b""
                try:
                    while len(received) < 200_000 and (more := line.recv(65536)):
                        if not received:
                            line.send(b"\x88\x02\x03\xe8")
                        received += more
                except OSError:
                    pass
                self.received.append(received)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    yield target
    target.close()


@pytest.mark.parametrize("kind", KINDS)
def test_every_attack_reaches_its_target(target: Target, kind: str) -> None:
    made = KINDS[kind](Order(kind, target.port, 0.5, HEAD))
    assert made >= 1
    longest = max(target.received, key=len, default=b"")
    assert (longest == b"") == (kind == "connect-and-leave")
    if kind in FRAMES or kind == "after-the-end":
        assert longest.startswith(HEAD)
        assert longest.count(FRAMES.get(kind, FRAMES["small-frames"])) > 1000
    if kind in ("half-heads", "large-heads"):
        assert b"\r\n\r\n" not in longest


def test_the_rows_know_their_attacks() -> None:
    assert {*SOCKET_ATTACKS, *REQUEST_ATTACKS} == set(KINDS)


def test_the_attacker_process_reaches_the_sink_process() -> None:
    with attacker() as attack, sink_port() as port:
        assert attack("ask-and-leave", port, HEAD, None) > 10
        meanwhile: list[int] = []
        assert attack("after-the-end", port, HEAD, lambda: meanwhile.append(1)) >= 1
        assert meanwhile == [1]
