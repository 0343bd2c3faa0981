"""What comes together is written together, and after a busy moment the process rests.

A wake-up of a process costs more than what there is to do for one frame of audio, and with many calls frames come at
all times. So what is to be written waits until all is taken in that has come, and after that the event loop is not
entered again for a moment: what comes meanwhile waits in the sockets and is found together. Network cards coalesce
their interrupts for the same reason. Figures: docs/adr/0016.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

_BUSY: Final = 3
"""Rest only when the last time was not longer ago than so many rests: a process with little to do answers at once."""


class Gathering:
    """One for each event loop."""

    def __init__(self, rest_s: float = 0.0) -> None:
        """`rest_s`: how long what comes is left waiting under load. 0: the loop is never held up."""
        self._rest_s = rest_s
        self._writes: list[Callable[[], None]] = []
        self._planned = False
        self._finished_at = float("-inf")

    def last(self, write: Callable[[], None]) -> None:
        """Call it once everything is taken in that has come; it must not block. As often as it was given: who gives it
        keeps count.
        """
        self._writes.append(write)
        if not self._planned:
            self._plan()

    def _plan(self) -> None:
        self._planned = True
        asyncio.get_running_loop().call_soon(self._finish)

    def _finish(self) -> None:
        writes, self._writes = self._writes, []
        for write in writes:
            try:
                write()
            except Exception:
                # One connection's fault must not stop the audio of all others.
                log.exception("gathered write failed")
        now = time.monotonic()
        busy = now - self._finished_at < _BUSY * self._rest_s
        self._finished_at = now
        if busy:
            # In the loop's next turn: transports write at the end of this one.
            asyncio.get_running_loop().call_soon(self._rest)
        else:
            self._go_on()

    def _rest(self) -> None:
        time.sleep(self._rest_s)
        self._go_on()

    def _go_on(self) -> None:
        self._planned = False
        if self._writes:
            self._plan()
