"""A minimal Redis client for administration: one command, one reply, no retries."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any, BinaryIO, Final

_TIMEOUT_S: Final = 5.0
_POLL_S: Final = 0.02


class RedisRefusedError(RuntimeError):
    """The server answered with an error reply."""


def ask(port: int, *command: str | int, timeout_s: float = _TIMEOUT_S) -> Any:
    """Send one command and return the reply: a string, int, None or a list of them. Raises `RedisRefusedError`,
    `OSError`.
    """
    parts = [str(part).encode() for part in command]
    packed = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as line:
        line.sendall(packed)
        with line.makefile("rb") as answer:
            return _decode(answer)


def ask_map(port: int, *command: str | int) -> dict[str, str]:
    """Send a command whose reply is a flat list of names and values, and return it as a mapping."""
    flat = ask(port, *command)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def becomes_true(fact: Callable[[], bool], within_s: float) -> bool:
    """Poll `fact` until it is true. Errors of the server count as false. Return false after `within_s`."""
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(OSError, RedisRefusedError, KeyError):
            if fact():
                return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)


def _decode(answer: BinaryIO) -> Any:
    head = answer.readline()
    if not head.endswith(b"\r\n"):
        raise ConnectionResetError("the server closed the connection")
    kind, rest = head[:1], head[1:-2].decode()
    if kind == b"-":
        raise RedisRefusedError(rest)
    if kind == b"+":
        return rest
    if kind == b":":
        return int(rest)
    size = int(rest)
    if size < 0:
        return None
    if kind == b"*":
        return [_decode(answer) for _ in range(size)]
    return answer.read(size + 2)[:-2].decode(errors="replace")
