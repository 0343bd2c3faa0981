"""CPU time of a process, as exactly as the system tells it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import psutil

_PROC: Final = Path("/proc")


def cpu_s(pid: int) -> float:
    """CPU seconds of all its threads: nanoseconds where the scheduler tells them, else ticks of 10 ms."""
    nanoseconds = _scheduled(pid, 0)
    if nanoseconds:
        return nanoseconds / 1e9
    spent = psutil.Process(pid).cpu_times()
    return float(spent.user + spent.system)


def waited_s(pid: int) -> float:
    """Seconds that its threads were ready to run and had no core; 0 where the system does not tell."""
    return _scheduled(pid, 1) / 1e9


def rss_bytes(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)


def _scheduled(pid: int, column: int) -> int:
    """Nanoseconds on a core (0) or waiting for one (1), see `sched-stats` of the kernel's documentation."""
    found = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            found += int((thread / "schedstat").read_text().split()[column])
    return found
