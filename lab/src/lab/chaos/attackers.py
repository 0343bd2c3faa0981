"""A process that attacks at the full speed of one thread, and a sink: the same load on the sink shows what the load
itself costs.

`python -m lab.chaos.attackers` reads commands from standard input, one JSON object per line: `{"kind", "port",
"seconds", "head"}`. For each it prints the number of connections it opened. `python -m lab.chaos.attackers sink` prints
its port.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

CHUNK_BYTES: Final = 64 * 1024
HELD: Final = 2000
"""Maximum number of connections that an attacker keeps open at the same time."""
_PATIENCE_S: Final = 0.5
_CLOSE_FRAME: Final = 0x88
_MASK: Final = b"mask"
FRAMES: Final[Mapping[str, bytes]] = {
    "small-frames": b"\x81\x81" + _MASK + b"x",
    "pings": b"\x89\x80" + _MASK,
    "empty-frames": b"\x81\x80" + _MASK,
    "fragments": b"\x00\x80" + _MASK,
}
"""Frames of a flood after a WebSocket request. Fragments continue the message that starts with `_FIRST`."""
_FIRST: Final[Mapping[str, bytes]] = {"fragments": b"\x01\x80" + _MASK}
_END: Final = b"\r\n"
"""The empty line after a request head."""


@dataclass(frozen=True, slots=True)
class Order:
    kind: str
    port: int
    seconds: float
    head: bytes
    """A complete request head. For `after-the-end`, it is followed by a message."""

    @property
    def until(self) -> float:
        return time.monotonic() + self.seconds


def flood(order: Order) -> int:
    """Send frames continuously after the request. When the connection is reset, open a new one at once."""
    chunk = FRAMES[order.kind] * (CHUNK_BYTES // len(FRAMES[order.kind]))
    return _again_and_again(order, lambda line, until: _send_until(line, until, chunk, _FIRST.get(order.kind, b"")))


def after_the_end(order: Order) -> int:
    """Wait for the close frame, then send small frames continuously."""
    chunk = FRAMES["small-frames"] * (CHUNK_BYTES // len(FRAMES["small-frames"]))

    def closed_then_flood(line: socket.socket, until: float) -> None:
        while time.monotonic() < until:
            received = line.recv(CHUNK_BYTES)
            if not received or _CLOSE_FRAME in received:
                break
        _send_until(line, until, chunk)

    return _again_and_again(order, closed_then_flood)


def connect_and_leave(order: Order) -> int:
    return _again_and_again(order, None, head=b"")


def ask_and_leave(order: Order) -> int:
    """Send the complete request, for example with a wrong token, and close without reading the response."""
    return _again_and_again(order, None)


def half_heads(order: Order) -> int:
    """Send request heads that are never completed (slowloris)."""
    return _hold(order, order.head[: -len(_END)])


def large_heads(order: Order) -> int:
    return _hold(order, order.head[: -len(_END)] + b"X: " + b"x" * 15_000)


def bodies(order: Order) -> int:
    """Send requests with only a part of the announced body."""
    post = order.head.replace(b"GET ", b"POST ", 1)[: -len(_END)] + b"Content-Length: 200000\r\n" + _END
    return _hold(order, post + bytes(60_000))


def unread(order: Order) -> int:
    """Send many requests at once and never read the responses."""
    return _hold(order, order.head * 1000)


KINDS: Final[Mapping[str, Callable[[Order], int]]] = {
    **dict.fromkeys(FRAMES, flood),
    "after-the-end": after_the_end,
    "connect-and-leave": connect_and_leave,
    "ask-and-leave": ask_and_leave,
    "half-heads": half_heads,
    "large-heads": large_heads,
    "bodies": bodies,
    "unread": unread,
}


def _again_and_again(
    order: Order, attack: Callable[[socket.socket, float], None] | None, head: bytes | None = None
) -> int:
    made, until = 0, order.until
    while time.monotonic() < until:
        with contextlib.suppress(OSError), _line(order.port) as line:
            made += 1
            line.sendall(order.head if head is None else head)
            if attack is not None:
                attack(line, until)
    return made


def _hold(order: Order, sent: bytes) -> int:
    """Open as many connections as possible. At `HELD` open connections, each new one replaces the oldest."""
    made, until = 0, order.until
    held: deque[socket.socket] = deque()
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            held.append(_line(order.port))
            made += 1
            held[-1].setblocking(False)
            held[-1].send(sent)
        if len(held) > HELD:
            held.popleft().close()
    for line in held:
        line.close()
    return made


def _line(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S)


def _send_until(line: socket.socket, until: float, chunk: bytes, first: bytes = b"") -> None:
    line.sendall(first)
    while time.monotonic() < until:
        line.sendall(chunk)


def sink() -> Iterator[int]:
    """Accept every connection, answer its first bytes with the gateway's rejection, and read the rest. Yields the port
    first.
    """
    answer = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x88\x02\x03\xf0"
    with selectors.DefaultSelector() as waiting, socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        listener.setblocking(False)
        waiting.register(listener, selectors.EVENT_READ)
        new: set[socket.socket] = set()
        yield int(listener.getsockname()[1])
        while True:
            for key, _ in waiting.select():
                line = key.fileobj
                assert isinstance(line, socket.socket)
                if line is listener:
                    line, _ = listener.accept()
                    line.setblocking(False)
                    waiting.register(line, selectors.EVENT_READ)
                    new.add(line)
                    continue
                try:
                    if not line.recv(CHUNK_BYTES):
                        raise ConnectionResetError
                    if line in new:
                        new.discard(line)
                        line.send(answer)
                except BlockingIOError:
                    continue
                except OSError:
                    new.discard(line)
                    waiting.unregister(line)
                    line.close()


def main() -> None:
    if sys.argv[1:] == ["sink"]:
        for port in sink():
            print(port, flush=True)
    for text in sys.stdin:
        read = json.loads(text)
        order = Order(read["kind"], read["port"], read["seconds"], bytes.fromhex(read["head"]))
        print(KINDS[order.kind](order), flush=True)


if __name__ == "__main__":
    main()
