"""Runs Python's garbage collector rarely and at fixed times, for processes that process audio.

With the default thresholds, the young generation is collected too often in a busy process, and the old one only after
millions of allocations. A call takes minutes, so its reference cycles would stay in memory for hours.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

_ALLOCATIONS: Final = 20_000
"""Net allocations of container objects that start a collection of the young generation."""


class GarbageCollection:
    """Freezes the objects that exist at `start`, because scanning them took a sixth of a busy relay's CPU time.
    Collects the others every `collect_s`, in a few milliseconds.
    """

    def __init__(self, collect_s: float = 30.0) -> None:
        self._collect_s = collect_s
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        gc.collect()
        gc.freeze()
        gc.set_threshold(_ALLOCATIONS, 20, 50)
        self._set()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._collect_s, self._collect)

    def _collect(self) -> None:
        gc.collect()
        self._set()
