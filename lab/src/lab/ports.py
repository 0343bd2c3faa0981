"""Ports for servers that are about to be started, each promised to one process only.

A port that the kernel hands out (bind to 0, look, close) is free for a moment: until the server that it is meant for
listens, the next process that asks may be given the same one, or a connection may go out from it. So ours come from
below the kernel's range, and each process has a block of them to itself, by a lock that ends with the process.
"""

from __future__ import annotations

import fcntl
import functools
import os
import socket
import tempfile
from itertools import cycle
from pathlib import Path
from typing import Final

_FIRST: Final = 20_000
"""Linux hands out 32768 and up for port 0 and for outgoing connections, macOS 49152 and up."""
_BLOCK: Final = 200
_BLOCKS: Final = 60


class NoPortError(RuntimeError):
    """No port to give: too many processes ask for them at once, or too many servers listen."""


class PortBlock:
    """The ports that one process deals out, each in turn, so that one comes again only after all others did.

    `folder`: where the locks lie; processes that share it share no port. Raises `NoPortError` when no block is left.
    """

    def __init__(self, folder: Path) -> None:
        number, self._lock = _first_free(folder)
        first = _FIRST + number * _BLOCK
        self._ports = cycle(range(first, first + _BLOCK))

    def next(self) -> int:
        """A port of 127.0.0.1 on which nobody listens. Raises `NoPortError`."""
        for _ in range(_BLOCK):
            port = next(self._ports)
            if can_be_had(port):
                return port
        raise NoPortError(f"all {_BLOCK} ports of this process are taken; is something left running?")

    def close(self) -> None:
        """Leave the block to other processes."""
        os.close(self._lock)


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nobody listens, and that no other process of the lab or the tests is given."""
    return _block_of(os.getpid()).next()


@functools.cache
def _block_of(_process: int) -> PortBlock:
    """By process, so that a fork deals from a block of its own."""
    return PortBlock(Path(tempfile.gettempdir()))


def _first_free(folder: Path) -> tuple[int, int]:
    """The first block that nobody has, and its lock."""
    for number in range(_BLOCKS):
        lock = _lock(folder / f"lab-ports-{number}.lock")
        if lock is not None:
            return number, lock
    raise NoPortError(f"{_BLOCKS} processes hold ports of the lab already (locks in {folder})")


def _lock(path: Path) -> int | None:
    """The open file that is now locked; None when another process (or another user) has it."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


def can_be_had(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers bind: what still waits for the end of an old connection is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
