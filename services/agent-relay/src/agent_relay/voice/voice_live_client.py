"""WebSocket client for Voice Live, on picows.

Messages are delivered in order, by callback, without a task or queue between the socket and the call. docs/adr/0008
gives the reasons for picows and lists its undocumented features that are used here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol, cast
from urllib.parse import SplitResult, urlsplit

from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSError,
    WSFrame,
    WSListener,
    WSMsgType,
    WSProtocolError,
    WSTransport,
)
from picows.picows import WSCloseHandshake, WSProtocol  # type: ignore[attr-defined]  # its stub leaves out the latter

from agent_relay.core.protocol.voice_target import ConnectRequest
from agent_relay.voice.voice_handshake import Handshake
from bridge_common.base.errors import AuthError, OutsideError

MAX_MESSAGE_BYTES: Final = 16 * 2**20
CLOSE_S: Final = 0.8
"""Time limit of the closing handshake, so that the resources of an ended call are released within a second."""
_TEXT: Final = WSMsgType.TEXT
NORMAL: Final = 1000
"""The peer has closed the connection because it is done."""
_NO_CODE: Final = 1005
LOST: Final = 1006
"""The connection ended without a close frame."""
_READ_BUFFER_BYTES: Final = 32 * 1024
"""Initial size of the read buffer. An audio delta of 250 ms has 16 KB of text."""
_HOPELESS: Final = frozenset({301, 302, 303, 307, 308, 400, 403, 404, 405, 409, 410})
"""Statuses after which a retry would fail again: wrong address, version or role, disabled agent. Redirects are not
followed, because the credentials are for this address only.
"""


class SocketClosedError(OutsideError):
    """The socket was closed by either side. Voice Live closes expired sessions with 1001; a voice agent ends the call
    with 1000.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"voice socket closed: {code} {reason}".rstrip(), retry=True, code=code, reason=reason)
        self.close_code = code


class Listener(Protocol):
    """Receives the messages of a socket. The methods must not block or raise."""

    def on_message(self, message: memoryview | bytes) -> None:
        """Handle one complete message. Its memory is reused after the method returns."""
        ...

    def on_writable(self) -> None:
        """Resume sending, because `writable` is True again."""
        ...

    def on_lost(self, why: SocketClosedError) -> None:
        """Handle the loss of the socket. It is called once, after all other methods."""
        ...


class VoiceSocket(WSListener):
    """An open socket. Messages that arrive before `listen` are buffered for the listener."""

    def __init__(self) -> None:
        self.writable = True
        """Whether the service reads. While False, sent messages are buffered in memory."""
        self.lost: SocketClosedError | None = None
        self.send: Callable[[bytes], None] = _not_open
        """Send a text message. On a lost socket it is dropped; the listener is notified of the loss separately."""
        self._transport: WSTransport | None = None
        self._listener: Listener | None = None
        self._early: list[bytes] = []
        self._fragments: bytearray | None = None

    def listen(self, listener: Listener) -> None:
        self._listener = listener
        early, self._early = self._early, []
        for message in early:
            listener.on_message(message)
        if self.lost is not None:
            listener.on_lost(self.lost)

    async def close(self) -> None:
        """Run the closing handshake; abort the connection after `CLOSE_S`."""
        assert self._transport is not None
        self._transport.send_close(WSCloseCode.OK)
        # `lost` has the reason of a loss; the exception must be retrieved here nevertheless.
        with contextlib.suppress(TimeoutError, WSError):
            async with asyncio.timeout(CLOSE_S):
                await self._transport.wait_disconnected()
                return
        self._transport.disconnect(graceful=False)

    # -- picows.WSListener
    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self.send = partial(transport.send, _TEXT)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Handle a frame. Raises `WSProtocolError` if it is invalid; picows then closes the socket with the code of the
        error.
        """
        if self.lost is not None:
            return
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "reserved bits without a negotiated extension")
        kind = frame.msg_type
        if kind == _TEXT and frame.fin and self._fragments is None and self._listener is not None:
            self._listener.on_message(frame.get_payload_as_memoryview())
        elif kind in (_TEXT, WSMsgType.BINARY):
            self._begin(frame)
        elif kind == WSMsgType.CONTINUATION:
            self._continue(frame)
        elif kind == WSMsgType.CLOSE:
            self._closed_by_peer(transport, frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        # The stub declares it as always present.
        closing = cast(WSCloseHandshake | None, transport.close_handshake)
        self._set_lost(LOST, closing.sent.reason if closing is not None and closing.sent is not None else "")

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        if self._listener is not None and self.lost is None:
            self._listener.on_writable()

    # --
    def _begin(self, frame: WSFrame) -> None:
        if self._fragments is not None:
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "a new message before the end of a fragmented one")
        if frame.fin:
            self._deliver(frame.get_payload_as_memoryview())
        else:
            self._fragments = bytearray(frame.get_payload_as_memoryview())

    def _continue(self, frame: WSFrame) -> None:
        if self._fragments is None:
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "continuation frame without a message")
        self._fragments += frame.get_payload_as_memoryview()
        if len(self._fragments) > MAX_MESSAGE_BYTES:
            raise WSProtocolError(WSCloseCode.MESSAGE_TOO_BIG, f"message longer than {MAX_MESSAGE_BYTES} bytes")
        if frame.fin:
            whole, self._fragments = self._fragments, None
            self._deliver(memoryview(whole))

    def _deliver(self, message: memoryview) -> None:
        if self._listener is None:
            self._early.append(bytes(message))
        else:
            self._listener.on_message(message)

    def _closed_by_peer(self, transport: WSTransport, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else _NO_CODE
        self._set_lost(code, payload[2:].decode(errors="replace"))
        transport.send_close(WSCloseCode.OK)
        transport.disconnect()

    def _set_lost(self, code: int, reason: str) -> None:
        if self.lost is not None:
            return
        self.lost = SocketClosedError(code, reason)
        if self._listener is not None:
            self._listener.on_lost(self.lost)


def _not_open(message: bytes) -> None:
    raise RuntimeError("the voice socket is not open yet")


async def connect(
    request: ConnectRequest, *, open_timeout_s: float, ping_interval_s: float, tls: ssl.SSLContext | None = None
) -> VoiceSocket:
    """Open a voice socket. Raises `AuthError` on 401, and `OutsideError` on any other failure.

    `open_timeout_s` covers name resolution, TCP, TLS and handshake. Without `tls`, a wss address uses a new default
    context. Proxy settings of the environment are ignored.
    """
    address = _address(request)
    socket = VoiceSocket()
    handshake = Handshake(_websocket(socket, address, request, ping_interval_s))
    try:
        async with asyncio.timeout(open_timeout_s):
            status = await handshake.run(address, tls)
    except TimeoutError as error:
        raise OutsideError(
            f"Voice Live did not answer the handshake within {open_timeout_s:g} s", retry=True
        ) from error
    except (OSError, WSError) as error:
        raise OutsideError(f"Voice Live is unreachable: {error}", retry=True) from error
    if status != 101:
        raise _refused(status, handshake.body, handshake.retry_after_s)
    return socket


def trusted_certificates(endpoint: str) -> ssl.SSLContext | None:
    """Return the default TLS context for `connect`, None without TLS. Slow: it loads the trusted certificates of the
    system.
    """
    return ssl.create_default_context() if urlsplit(endpoint).scheme in ("https", "wss") else None


def _address(request: ConnectRequest) -> SplitResult:
    """Return the parsed URL. Raises `OutsideError` if the URL or a header is not valid."""
    try:
        address = urlsplit(request.url)
        usable = address.scheme in ("ws", "wss") and bool(address.hostname) and (address.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise OutsideError("the Voice Live endpoint is not a valid URL; check AZURE_VOICE_LIVE_ENDPOINT", retry=False)
    for name, value in request.headers.items():
        if not value.isprintable() or not value.isascii():
            raise OutsideError(
                f"the value of the header {name} contains characters that are not printable ASCII", retry=False
            )
    return address


def _websocket(
    socket: VoiceSocket, address: SplitResult, request: ConnectRequest, ping_interval_s: float
) -> WSProtocol:
    """Return the protocol of the WebSocket. It sends a ping every `ping_interval_s` and expects the pong within half of
    that.
    """
    return WSProtocol(
        address.netloc.rpartition("@")[2],
        f"{address.path or '/'}?{address.query}".rstrip("?"),
        True,  # client side
        lambda: socket,
        _quiet_log(),
        True,  # an exception ends the connection
        None,  # handshake timeout: `open_timeout_s` covers more
        True,
        ping_interval_s / 2,
        ping_interval_s / 2,
        WSAutoPingStrategy.PING_PERIODICALLY,
        True,  # pings are answered
        MAX_MESSAGE_BYTES,
        dict(request.headers),
        _READ_BUFFER_BYTES,
    )


def _quiet_log() -> logging.Logger:
    """Return a logger without picows's line for every connection, which the relay logs itself with the call id."""
    log = logging.getLogger("picows.voice_live")
    log.setLevel(logging.WARNING)
    return log


def _refused(status: int, body: bytes, retry_after_s: int) -> AuthError | OutsideError:
    why = body[:200].decode(errors="replace").strip()
    if status == 401:
        return AuthError(f"Voice Live refused the credentials: {status} {why}".rstrip(), status=status)
    if "agent_disabled" in why:
        why = f"the voice agent is disabled; enable it in Foundry ({why})"
    message = f"Voice Live refused the connection: {status} {why}".rstrip()
    return OutsideError(message, retry=status not in _HOPELESS, status=status, retry_after_s=retry_after_s)
