"""Runs Python's garbage collector rarely and at fixed times, for processes that carry audio.

The default thresholds do not fit: the young generation is collected too often in a busy process, the old one only after
millions of allocations. A call takes minutes, so its cycles are old by then and would be kept for hours.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

COLLECT_S: Final = 30.0
_ALLOCATIONS: Final = 20_000
"""Container objects made, less those freed, before the youngest are looked through."""


class GarbageCollection:
    """Objects that exist at `start` are frozen: scanning them took a sixth of a busy relay's time. All later ones are
    collected every `COLLECT_S`, which takes a few milliseconds.
    """

    def __init__(self) -> None:
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
        self._timer = asyncio.get_running_loop().call_later(COLLECT_S, self._collect)

    def _collect(self) -> None:
        gc.collect()
        self._set()
