"""Terminates child processes when their parent ends, also after `kill -9`.

The kernel closes the pipes of a dead process. A watcher process reads pids from a pipe and terminates them when the
pipe is closed. A parent-death signal (Linux) would be simpler, but it is sent at the end of the *thread* that started
the child.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from typing import Final

import psutil

PATIENCE_S: Final = 5.0


class Guard:
    """Terminates watched processes when this process ends. The watcher is started with the first child. `patience_s`:
    time from SIGTERM to SIGKILL.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._watcher: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def watch(self, pid: int) -> None:
        self._send(f"{pid}\n")

    def release(self) -> None:
        """Stop watching: `lab up` leaves its processes running."""
        if self._watcher is not None:
            self._send("release\n")

    def _send(self, line: str) -> None:
        with self._lock:
            watcher = self._watcher
            if watcher is None or watcher.poll() is not None:
                watcher = self._watcher = subprocess.Popen(
                    [sys.executable, "-m", "lab.orphans", str(self._patience_s)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C in the terminal must reach only the parent.
                )
                atexit.register(_finish, watcher)
            assert watcher.stdin is not None
            watcher.stdin.write(line.encode())
            watcher.stdin.flush()


def _finish(watcher: subprocess.Popen[bytes]) -> None:
    """Wait at exit until the watcher has terminated the children."""
    assert watcher.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        watcher.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        watcher.wait(2 * PATIENCE_S)


_guards: dict[int, Guard] = {}


def guard() -> Guard:
    """Return the guard of this process; a forked process gets its own."""
    return _guards.setdefault(os.getpid(), Guard())


def watch_until_closed(lines: Iterable[str], patience_s: float = PATIENCE_S) -> None:
    """Read pids until the pipe is closed, then terminate the processes that are still running."""
    watched: dict[int, psutil.Process] = {}
    for line in lines:
        if line.strip() == "release":
            watched.clear()
            continue
        with contextlib.suppress(psutil.NoSuchProcess):
            watched[int(line)] = psutil.Process(int(line))
    # psutil also compares start times, so a pid that was reused by another process is skipped.
    left = [process for process in watched.values() if process.is_running()]
    for process in left:
        _end(process, force=False)
    _, left = psutil.wait_procs(left, timeout=patience_s)
    for process in left:
        _end(process, force=True)


def _end(process: psutil.Process, *, force: bool) -> None:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        (process.kill if force else process.terminate)()


if __name__ == "__main__":
    watch_until_closed(sys.stdin, float(sys.argv[1]))
