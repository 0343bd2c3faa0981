"""Admission of media sockets: the capacity of the process, its current sockets, and the drain."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from bridge_common.base.log import fields
from bridge_common.observability.telemetry import ACTIVE_CALLS
from media_gateway.core.peer_limits import PER_S, AttachLimit

log = logging.getLogger(__name__)

GOING_AWAY: Final = 1001
_CLOSING_S: Final = 1.0
"""Part of the drain time that is reserved for the close handshakes of the remaining sockets."""
_CLOSED_PER_S: Final = 20
"""Rate at which they are closed. ACS dials each again, at the other gateways: a burst would delay the audio of their
calls.
"""


class Socket(Protocol):
    @property
    def epoch(self) -> int:
        """Grows with each socket of a call."""

    def end(self, code: int, reason: str) -> None:
        """Close the socket. Returns at once."""

    def displace(self) -> None:
        """Release the streams and close, because a newer socket has the call."""


class Admission:
    def __init__(self, capacity: int, attaches_per_s: float = PER_S) -> None:
        self.capacity = capacity
        self.draining = False
        self._sockets: dict[str, Socket] = {}
        self._opening = 0
        self._attaches = AttachLimit(attaches_per_s)
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def active(self) -> int:
        return len(self._sockets)

    def sockets(self) -> list[Socket]:
        return list(self._sockets.values())

    def full(self, call_id: str = "") -> str:
        """Return the reason why this gateway has no place for a socket of the call, or empty. A call may always replace
        its existing socket.
        """
        if self.draining:
            return "draining"
        is_full = self.active + self._opening >= self.capacity
        return "at capacity" if is_full and call_id not in self._sockets else ""

    def refusal(self, call_id: str) -> str:
        """Return the reason why a socket of the call is not accepted now, or empty. Counts as an attempt, within the
        limit for each call.
        """
        if not (full := self.full(call_id)) and not self._attaches.take(call_id, time.monotonic()):
            return "too many media sockets of this call"
        return full

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Count a socket that is being attached as if it were attached already."""
        self._opening += 1
        self._changed()
        try:
            yield
        finally:
            self._opening -= 1
            self._changed()

    def enter(self, call_id: str, socket: Socket) -> None:
        """Add a socket. The newest socket of the call stays, an older one is displaced."""
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
        """Wait until there are no sockets."""
        await self._empty.wait()

    async def drain(self, timeout_s: float) -> None:
        """Accept no more sockets, wait for the calls to end, and close the remaining sockets (1001) one by one."""
        self.draining = True
        closing_s = min(_CLOSING_S + self.active / _CLOSED_PER_S, timeout_s / 4)
        try:
            if not await self._emptied(max(timeout_s - closing_s, 0)):
                log.warning("drain timeout reached; closing media sockets", extra=fields(sockets=self.active))
                await self._close_one_by_one(max(closing_s - _CLOSING_S, 0))
        except asyncio.CancelledError:
            self._close_all()
            raise
        await self.empty()

    async def _emptied(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                await self.empty()
        except TimeoutError:
            return False
        return True

    async def _close_one_by_one(self, within_s: float) -> None:
        """Close all sockets, evenly spread over this time."""
        pause_s = within_s / max(self.active, 1)
        for socket in self.sockets():
            if socket in self.sockets():  # not closed by ACS in the meantime
                _close(socket)
                await asyncio.sleep(pause_s)

    def _close_all(self) -> None:
        for socket in self.sockets():
            _close(socket)

    def _changed(self) -> None:
        ACTIVE_CALLS.set(self.active)
        if self._sockets or self._opening:
            self._empty.clear()
        else:
            self._empty.set()


def _close(socket: Socket) -> None:
    socket.end(GOING_AWAY, "the gateway is shutting down")
