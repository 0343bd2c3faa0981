"""CPU time of a process, as exactly as the system tells it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Final

import psutil

_PROC: Final = Path("/proc")
_CPU_CLOCK_OF_ALL_THREADS: Final = 2


def cpu_s(pid: int) -> float:
    """CPU seconds of all its threads, ended ones too: nanoseconds from its clock, else ticks of 10 ms."""
    with contextlib.suppress(OSError):
        return time.clock_gettime(_cpu_clock(pid))
    spent = psutil.Process(pid).cpu_times()
    return float(spent.user + spent.system)


def waited_s(pid: int) -> float:
    """Seconds that its living threads were ready to run and had no core; 0 where the system does not tell.

    Source: `sched-stats` of the kernel's documentation.
    """
    found = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            found += int((thread / "schedstat").read_text().split()[1])
    return found / 1e9


def rss_bytes(pid: int) -> int:
    return int(psutil.Process(pid).memory_info().rss)


def _cpu_clock(pid: int) -> int:
    """What `clock_getcpuclockid(3)` returns on Linux, which Python offers for threads only."""
    return ~pid << 3 | _CPU_CLOCK_OF_ALL_THREADS
