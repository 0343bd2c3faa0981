"""The socket to Voice Live, over `websockets`, with failures as the relay tells them apart."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from agent_relay.core.connection import ConnectRequest
from bridge_common.errors import AuthError, OutsideError

MAX_MESSAGE_BYTES: Final = 16 * 2**20
CLOSE_S: Final = 0.8
"""A close that takes longer is cut short: everything of an ended call goes within a second."""
_WAITING_MESSAGES: Final = 64
_HOPELESS: Final = frozenset({400, 403, 404, 405, 410})
"""A second try brings the same refusal: a wrong address, version or role."""


class SocketClosedError(OutsideError):
    """The socket is gone, by whichever side. 1000 and 1001 do not mean that the call is over: a session that expires
    is closed with 1001."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the voice socket closed: {code} {reason}".rstrip(), retry=True, code=code, reason=reason)
        self.close_code = code


class VoiceSocket:
    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket

    async def send(self, message: bytes) -> None:
        """One text message; raises `SocketClosedError`."""
        try:
            await self._websocket.send(message, text=True)
        except ConnectionClosed as error:
            raise self._closed() from error

    async def receive(self) -> str | bytes:
        """The next message; raises `SocketClosedError`."""
        try:
            return await self._websocket.recv()
        except ConnectionClosed as error:
            raise self._closed() from error

    async def close(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._websocket.close()
                return
        self._websocket.transport.abort()

    def _closed(self) -> SocketClosedError:
        return SocketClosedError(self._websocket.close_code or 1006, self._websocket.close_reason or "")


async def connect(request: ConnectRequest, *, open_timeout_s: float, ping_interval_s: float) -> VoiceSocket:
    """Raises `AuthError` on 401 and `OutsideError` on everything else that is no open socket."""
    try:
        websocket = await open_websocket(
            request.url,
            additional_headers=request.headers,
            open_timeout=open_timeout_s,
            ping_interval=ping_interval_s,
            ping_timeout=ping_interval_s,
            close_timeout=CLOSE_S,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=_WAITING_MESSAGES,
            compression=None,
            proxy=None,
        )
    except InvalidStatus as error:
        raise _refused(error.response.status_code, error.response.body or b"") from error
    except TimeoutError as error:
        raise OutsideError("Voice Live did not answer the handshake in time", retry=True) from error
    except InvalidURI as error:
        raise OutsideError(f"the endpoint of Voice Live is no address: {error}", retry=False) from error
    except (OSError, InvalidHandshake, ConnectionClosed) as error:
        raise OutsideError(f"Voice Live cannot be reached: {error}", retry=True) from error
    return VoiceSocket(websocket)


def _refused(status: int, body: bytes | bytearray) -> AuthError | OutsideError:
    why = body[:200].decode(errors="replace").strip()
    if status == 401:
        return AuthError(f"Voice Live refused the credentials: {status} {why}".rstrip(), status=status)
    message = f"Voice Live refused the connection: {status} {why}".rstrip()
    return OutsideError(message, retry=status not in _HOPELESS, status=status)
