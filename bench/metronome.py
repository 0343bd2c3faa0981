"""Steps at even distances, kept by absolute deadlines: what was late does not move what comes after it.

An event loop's own timers are rounded to milliseconds, and with hundreds of calls many frames would leave at once,
which no network does. On Linux a timer of the kernel (`timerfd`) wakes the loop for each step.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import struct
import sys
import time
from collections.abc import Callable
from typing import Final

FINEST_S: Final = 0.000_2
"""Steps closer than this are done in pairs or more: waking up costs more than sending."""
LATE_S: Final = 0.005
_COARSE_S: Final = 0.001
"""Between two wake-ups where there is no timer of the kernel."""
_NONBLOCK_CLOEXEC: Final = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_CLOCK_MONOTONIC: Final = 1


class Metronome:
    """Calls `step(n)` for n = 0, 1, …, `per_s` times a second, until it is stopped."""

    def __init__(self, per_s: float, step: Callable[[int], None]) -> None:
        self.steps = 0
        self.late = 0
        """Steps that were done more than `LATE_S` after their time."""
        self._per_s = per_s
        self._step = step
        self._loop = asyncio.get_running_loop()
        self._began = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._fd = _kernel_timer(max(1 / per_s, FINEST_S))
        if self._fd is None:
            self._tick()
        else:
            self._loop.add_reader(self._fd, self._woken, self._fd)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)

    def _woken(self, fd: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(fd, 8)
        self._catch_up()

    def _tick(self) -> None:
        self._catch_up()
        self._timer = self._loop.call_later(_COARSE_S, self._tick)

    def _catch_up(self) -> None:
        now = time.monotonic()
        self.late += max(0, steps_due(now - LATE_S - self._began, self._per_s) - self.steps)
        for number in range(self.steps, steps_due(now - self._began, self._per_s)):
            self._step(number)
            self.steps += 1


def steps_due(passed_s: float, per_s: float) -> int:
    """How many steps are due after this time; the first one at once."""
    return int(passed_s * per_s) + 1 if passed_s >= 0 else 0


def _kernel_timer(period_s: float) -> int | None:
    """The file descriptor of a periodic timer; None where there is no such thing."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    fd = int(libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC))
    if fd < 0:
        return None
    nanoseconds = max(1, int(period_s * 1e9))
    period = divmod(nanoseconds, 1_000_000_000)
    # struct itimerspec: the period, then the first expiration, each as seconds and nanoseconds.
    spec = struct.pack("@4l", *period, *period)
    if libc.timerfd_settime(fd, 0, spec, None) != 0:
        os.close(fd)
        return None
    return fd
