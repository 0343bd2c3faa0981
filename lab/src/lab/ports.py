"""Reserves free ports for servers that start later.

A port from the kernel (bind to 0, read the port, close) is free only for a moment: before the server listens, another
process may get the same port, or an outgoing connection may use it. The ports of this module are therefore below the
range of the kernel, and each process has its own block, protected by a file lock that ends with the process.
"""

from __future__ import annotations

import fcntl
import functools
import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import cycle
from pathlib import Path
from typing import Final

FIRST_PORT: Final = 20_000
"""First port above the reserved ports. For port 0 and outgoing connections, Linux uses ports from 32768, macOS from
49152.
"""
BLOCK_PORTS: Final = 200
BLOCKS: Final = 60


class NoPortError(RuntimeError):
    """No port is free: too many processes reserve ports, or too many servers listen."""


class PortBlock:
    """The ports of one process, used in rotation. Raises `NoPortError` if no block is free.

    `folder` contains the locks of all processes, which divide `blocks` blocks among them. `is_free`: whether a server
    can listen on a port.
    """

    def __init__(
        self, folder: Path, *, blocks: int = BLOCKS, is_free: Callable[[int], bool] = lambda port: can_be_had(port)
    ) -> None:
        number, self._lock = _first_free(folder, blocks)
        first = FIRST_PORT + number * BLOCK_PORTS
        self._is_free = is_free
        self._ports = cycle(range(first, first + BLOCK_PORTS))

    def next(self) -> int:
        """Return a free port of 127.0.0.1. Raises `NoPortError`."""
        for _ in range(BLOCK_PORTS):
            port = next(self._ports)
            if self._is_free(port):
                return port
        raise NoPortError(f"all {BLOCK_PORTS} ports of this process are in use; stop servers that are no longer needed")

    def close(self) -> None:
        os.close(self._lock)


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1. No other process that calls this function gets the same port."""
    return _block_of(os.getpid()).next()


@functools.cache
def _block_of(_process: int) -> PortBlock:
    """Return the ports of a process, cached by pid: a forked process needs its own."""
    return PortBlock(Path(tempfile.gettempdir()))


def _first_free(folder: Path, blocks: int) -> tuple[int, int]:
    """Return the first free block and the file descriptor of its lock."""
    for number in range(blocks):
        lock = _lock(folder / f"lab-ports-{number}.lock")
        if lock is not None:
            return number, lock
    raise NoPortError(f"all {blocks} blocks of ports are in use by other processes (locks: {folder}); stop one of them")


def _lock(path: Path) -> int | None:
    """Lock the file and return its file descriptor; None if another process or user has the lock."""
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


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of a stack, by default the documented ones. `Ports.free()` allows several stacks on one machine."""

    redis: int = 6390
    acs: int = 8090
    voice_live: int = 8091
    identity: int = 8093
    call_control: int = 8080
    media_gateway: int = 8081
    agent_relay: int = 8082
    business: int = 8094

    @classmethod
    def free(cls) -> Ports:
        chosen: set[int] = set()
        while len(chosen) < len(fields(cls)):
            chosen.add(free_port())
        return cls(*chosen)


def can_be_had(port: int) -> bool:
    with socket.socket() as probe:
        # Servers set this as well, so that connections in TIME_WAIT do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
