"""How many media sockets the process takes, and which it has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from bridge_common.observability.telemetry import ACTIVE_CALLS
from media_gateway.core.attach_limit import AttachLimit


class Socket(Protocol):
    @property
    def epoch(self) -> int:
        """Grows with each socket of a call."""

    def end(self, code: int, reason: str) -> None:
        """Close it. Returns at once."""

    def displace(self) -> None:
        """A newer socket has the call: touch its streams no more, and close."""


class Admission:
    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.draining = False
        self._sockets: dict[str, Socket] = {}
        self._opening = 0
        self._attaches = AttachLimit()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def active(self) -> int:
        return len(self._sockets)

    def sockets(self) -> list[Socket]:
        return list(self._sockets.values())

    def refusal(self, call_id: str = "") -> str:
        """Why no socket can come now; empty when one can. A call that has one here may replace it, but not as often as
        it likes: with a `call_id` this counts as a socket of the call.
        """
        if self.draining:
            return "draining"
        full = self.active + self._opening >= self.capacity
        if full and call_id not in self._sockets:
            return "at capacity"
        if call_id and not self._attaches.take(call_id, time.monotonic()):
            return "too many sockets of this call"
        return ""

    @contextmanager
    def opening(self) -> Iterator[None]:
        """While a socket is being attached it counts already."""
        self._opening += 1
        self._changed()
        try:
            yield
        finally:
            self._opening -= 1
            self._changed()

    def enter(self, call_id: str, socket: Socket) -> None:
        """The newest socket of the call stays, an older one goes."""
        other = self._sockets.get(call_id)
        if other is not None and other.epoch > socket.epoch:
            socket.displace()
            return
        self._sockets[call_id] = socket
        if other is not None:
            other.displace()
        self._changed()

    def leave(self, call_id: str, socket: Socket) -> None:
        if self._sockets.get(call_id) is socket:
            del self._sockets[call_id]
            self._changed()

    async def empty(self) -> None:
        """Return when no socket is left."""
        await self._empty.wait()

    def _changed(self) -> None:
        ACTIVE_CALLS.set(self.active)
        if self._sockets or self._opening:
            self._empty.clear()
        else:
            self._empty.set()
