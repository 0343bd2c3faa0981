"""When Python's garbage collector looks for cycles in a process that carries audio: seldom, but at fixed times.

Its own rhythm fits neither way. It looks whenever so many objects were made that are still there, which a busy process
does all the time; and through the old ones only after millions more. But a call lives for minutes, so what it leaves
behind in cycles is old by then, and would be kept for hours.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final

COLLECT_S: Final = 30.0
_ALLOCATIONS: Final = 20_000
"""Container objects made, less those freed, before the youngest are looked through."""


class GarbageCollection:
    """What is there at `start` stays for the life of the process: looking through it again and again took a sixth of a
    busy relay's time. What came later is looked through whole every `COLLECT_S`, which takes a few milliseconds.
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
