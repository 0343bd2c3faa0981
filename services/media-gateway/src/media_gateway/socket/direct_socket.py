"""A media socket on picows: delivers whole messages by callback, sends without await, and closes in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport
from picows.picows import WSCloseHandshake, WSCloseInfo

from bridge_common.observability.telemetry import CONNECTIONS_DROPPED
from media_gateway.socket.frame_socket import (
    ABRUPT,
    NO_STATUS,
    OPEN_STATES,
    PROTOCOL,
    TOO_BIG,
    WRITE_HIGH_BYTES,
    FrameSocket,
    SocketState,
)

LARGEST_MESSAGE_BYTES: Final = 256 * 1024
"""Maximum size of a message, above the limit of the media codec: a message that is too large for the codec is dropped
there, and the call continues.
"""
CLOSING_FRAMES: Final = 64
"""Maximum frames that are read after the close frame was sent, to find that of the peer: more than ACS sends within
`close_s`.
"""
EARLY_FRAMES: Final = 64
"""Maximum frames that arrive together with the request. ACS sends one message and then audio every 20 ms."""

_TEXT: Final = WSMsgType.TEXT


class DirectSocket(FrameSocket, WSListener):
    """A WebSocket after its handshake. `close_s`: time limit for the peer to reply to a close frame.

    Without a receiver (before `listen`, after `stop` and `close`) a peer cannot cause work: reading is paused, and a
    peer that continues to send after the close frame is disconnected.
    """

    def __init__(self, on_trusted: Callable[[WSTransport], None], close_s: float) -> None:
        super().__init__()
        self._on_trusted = on_trusted
        self._close_s = close_s
        self._transport: WSTransport | None = None
        self._unheard = 0
        """Frames that arrived without a receiver."""
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._parts_are_text = False
        self._deadline: asyncio.TimerHandle | None = None

    def trust(self) -> None:
        if self._transport is not None:
            self._on_trusted(self._transport)

    def stop(self) -> None:
        super().stop()
        self._parts.clear()

    def send(self, message: bytes) -> None:
        if self._transport is not None:
            self._transport.send(_TEXT, message)

    def send_binary(self, message: bytes) -> None:
        if self._transport is not None:
            self._transport.send(WSMsgType.BINARY, message)

    def read(self, reads: bool) -> None:
        if self._transport is not None and self._state is not SocketState.CLOSED:
            transport = self._transport.underlying_transport
            (transport.resume_reading if reads else transport.pause_reading)()

    def _send_close(self, code: int, reason: str) -> None:
        """Send a close frame. The connection ends if the peer does not reply within `CLOSING_FRAMES` or
        the time limit.
        """
        if self._transport is not None:
            self._unheard = 0
            # The type is an enumeration that accepts any number.
            self._transport.send_close(code, reason)  # type: ignore[arg-type]
            self._drop_later()

    # -- picows
    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(WRITE_HIGH_BYTES)
        transport.underlying_transport.pause_reading()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        hearing = self._hearing
        if (
            hearing is not None
            and frame.msg_type is _TEXT
            and frame.fin
            and not self._parts
            and not (frame.rsv1 or frame.rsv2 or frame.rsv3)
        ):
            hearing.text(frame.get_payload_as_memoryview())
        else:
            self._uncommon(transport, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._ended(_code_of(transport))

    def pause_writing(self) -> None:
        self._report_paused(True)

    def resume_writing(self) -> None:
        self._report_paused(False)

    # -- frames other than whole text messages
    def _uncommon(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._hearing is None and self._is_ignored(frame):
            return
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.close(PROTOCOL, "a reserved bit is set, but no extension was negotiated")
            return
        match frame.msg_type:
            case WSMsgType.CLOSE:
                self._answer_close(transport, frame)
                return
            case WSMsgType.PING:
                if not self._is_paused:  # else a peer that pings and does not read would fill the memory
                    transport.send_pong(frame.get_payload_as_bytes())
            case WSMsgType.PONG:
                pass
            case _:
                self._assemble(frame)
                if frame.fin:
                    return  # the receiver has counted the message
        if self._hearing is not None:
            self._hearing.overhead()

    def _is_ignored(self, frame: WSFrame) -> bool:
        """Whether to skip a frame that arrives without a receiver. Too many such frames disconnect the peer."""
        self._unheard += 1
        is_early = self._state is SocketState.UNHEARD
        limit = EARLY_FRAMES if is_early else CLOSING_FRAMES
        if self._unheard > limit:
            if self._unheard == limit + 1 and self._state is not SocketState.STOPPED:
                self._drop("frames")
            return True
        return not is_early and frame.msg_type is not WSMsgType.CLOSE

    def _assemble(self, frame: WSFrame) -> None:
        """Assemble fragments (RFC 6455, 5.4): a message is one frame, or a first frame without FIN and continuations up
        to one with FIN.
        """
        continued = frame.msg_type is WSMsgType.CONTINUATION
        if continued != bool(self._parts):
            self.close(PROTOCOL, "the fragments of a message are out of order")
            return
        if not continued:
            self._parts_are_text, self._parts_bytes = frame.msg_type is _TEXT, 0
        self._parts.append(frame.get_payload_as_bytes())
        self._parts_bytes += frame.payload_size
        if self._parts_bytes > LARGEST_MESSAGE_BYTES or len(self._parts) > LARGEST_MESSAGE_BYTES // 64:
            self._parts.clear()
            self.close(TOO_BIG)
        elif frame.fin:
            message = b"".join(self._parts)
            self._parts.clear()
            self._deliver(self._parts_are_text, message)

    def _answer_close(self, transport: WSTransport, frame: WSFrame) -> None:
        """Reply to a close frame. After both close frames the server ends the connection, no matter which side began
        (RFC 6455, 7.1.1).
        """
        if self._state in OPEN_STATES:
            code = frame.get_close_code()
            self._ended(_code_of(transport))  # first, because a peer that has the reply may reconnect
            transport.send_close(WSCloseCode.OK if code is WSCloseCode.NO_INFO else code)
            self._drop_later()
        transport.disconnect()

    def _drop_later(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(self._close_s, self._abort)

    def _drop(self, why: str) -> None:
        """End the connection at once, without a close frame."""
        CONNECTIONS_DROPPED.labels(why).inc()
        self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(graceful=False)


def _code_of(transport: WSTransport) -> int:
    """Return the close code: the peer's takes precedence. picows itself closes a connection that
    violates the protocol.
    """
    handshake: WSCloseHandshake | None = transport.close_handshake
    if handshake is None:
        return ABRUPT
    info: WSCloseInfo | None = handshake.recv or handshake.sent
    if info is None:
        return ABRUPT
    return NO_STATUS if info.code is WSCloseCode.NO_INFO else int(info.code.value)
