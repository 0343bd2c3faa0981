"""Opening handshake of a picows WebSocket.

picows closes a rejected connection as soon as it has the response head, and cannot abort an unfinished handshake. This
protocol reads the body of an error response, which contains the reason, and aborts the connection if it is canceled. A
101 response is forwarded to picows unchanged, with all bytes that followed it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from typing import Final, cast
from urllib.parse import SplitResult

from picows.picows import WSProtocol  # type: ignore[attr-defined]  # its stub leaves it out

_SWITCHING_PROTOCOLS: Final = 101
_BODY_S: Final = 0.5
"""Longest time to wait for the body of an error response, after its head."""
_MOST_BODY_BYTES: Final = 1024
_MOST_HEAD_BYTES: Final = 16 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.\d (\d{3})\b")
_RETRY_AFTER: Final = re.compile(rb"\r\nretry-after:[ \t]*(\d{1,6})[ \t]*(?:\r\n|$)", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*(?:\r\n|$)", re.IGNORECASE)


class Handshake(asyncio.Protocol):
    def __init__(self, websocket: WSProtocol) -> None:
        loop = asyncio.get_running_loop()
        self._websocket = websocket
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._status: asyncio.Future[int] = loop.create_future()
        self._whole: asyncio.Future[None] = loop.create_future()

    @property
    def body(self) -> bytes:
        """Body of an error response, possibly incomplete."""
        return bytes(self._received.partition(b"\r\n\r\n")[2])

    @property
    def retry_after_s(self) -> int:
        """Seconds in `Retry-After` of an error response, 0 if it is missing or a date."""
        found = _RETRY_AFTER.search(self._received.partition(b"\r\n\r\n")[0])
        return int(found.group(1)) if found else 0

    async def run(self, address: SplitResult, tls: ssl.SSLContext | None) -> int:
        """Run the handshake and return the status of the response. The WebSocket is open if it is 101, else it is
        closed.

        Raises `OSError` if there is no valid response, and `WSError` if it is not valid for a WebSocket.
        """
        secure = address.scheme == "wss"
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: self,
                address.hostname or "",
                address.port or (443 if secure else 80),
                ssl=(tls or ssl.create_default_context()) if secure else None,
            )
            status = await self._status
            if status == _SWITCHING_PROTOCOLS:
                await self._websocket.wait_until_handshake_complete()
                return status
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_BODY_S):
                    await self._whole
        except BaseException:
            self._status.cancel()
            self._abort()
            raise
        self._abort()
        return status

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # -- asyncio.Protocol
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Transports of uvloop are not subclasses of it.
        self._transport = cast(asyncio.Transport, transport)
        self._websocket.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            if len(head) > _MOST_HEAD_BYTES:
                self._fail(f"the response head has more than {_MOST_HEAD_BYTES} bytes")
            return
        if not self._status.done():
            self._read_head(bytes(head))
        if not self._whole.done() and len(body) >= min(_length(bytes(head)), _MOST_BODY_BYTES):
            self._whole.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._websocket.connection_lost(error)
        self._fail(str(error) if error else "the server closed the connection")
        if not self._whole.done():
            self._whole.set_result(None)

    # --
    def _read_head(self, head: bytes) -> None:
        found = _STATUS.match(head)
        if found is None:
            self._fail("the response is not valid HTTP")
            return
        status = int(found.group(1))
        self._status.set_result(status)
        if status == _SWITCHING_PROTOCOLS:
            self._forward()

    def _forward(self) -> None:
        assert self._transport is not None
        self._transport.set_protocol(self._websocket)
        rest = memoryview(bytes(self._received))
        while rest:
            room: memoryview = self._websocket.get_buffer(-1)
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            self._websocket.buffer_updated(count)
            rest = rest[count:]

    def _fail(self, why: str) -> None:
        if not self._status.done():
            self._status.set_exception(ConnectionError(why))


def _length(head: bytes) -> int:
    """Return the length of the body. If none is declared, the maximum is returned, because the body ends with the
    connection.
    """
    found = _LENGTH.search(head)
    return int(found.group(1)) if found else _MOST_BODY_BYTES
