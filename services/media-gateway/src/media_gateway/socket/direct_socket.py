"""A media socket on picows: whole messages in by callback, frames out without await, and an orderly end."""

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
    NORMAL,
    PROTOCOL,
    TOO_BIG,
    WRITE_HIGH_BYTES,
    Receiver,
    close_reason,
)

LARGEST_MESSAGE_BYTES: Final = 256 * 1024
"""Above what the media codec takes: a message too large for it is dropped and counted there, not a lost call."""
CLOSE_S: Final = 1.0
"""Time for the peer to answer a close frame."""
CLOSING_FRAMES: Final = 64
"""Frames that are read for the peer's close frame after ours: more than ACS sends within `CLOSE_S`."""
EARLY_FRAMES: Final = 64
"""Frames that may arrive together with the request. ACS sends one message and then audio every 20 ms."""

_TEXT: Final = WSMsgType.TEXT


class DirectSocket(WSListener):
    """A `FrameSocket`, from the moment when the handshake is complete.

    A peer that is not listened to (before `listen`, after `stop` and `close`) cannot cause work: reading is paused, and
    a peer that continues to send after our close frame is disconnected.
    """

    def __init__(self, on_trusted: Callable[[WSTransport], None]) -> None:
        self._on_trusted = on_trusted
        self._transport: WSTransport | None = None
        self._receiver: Receiver | None = None
        self._hearing: Receiver | None = None
        """The receiver while messages are delivered to it."""
        self._unheard = 0
        """Frames that arrived while nobody listened."""
        self._early: list[tuple[bool, bytes]] = []
        """Messages that arrived with the request, and whether each is text; no more than one read's worth."""
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._parts_are_text = False
        self._paused = False
        self._closing = False
        self._end_code: int | None = None
        """How it ended, once that is known."""
        self._deadline: asyncio.TimerHandle | None = None

    def listen(self, receiver: Receiver) -> None:
        """From now on everything goes to `receiver`, what came before first. Also ends a `stop`."""
        self._receiver = receiver
        if not self._closing:
            self._hearing = receiver
        early, self._early = self._early, []
        for is_text, message in early:
            self._deliver(is_text, message)
        if self._end_code is not None:
            receiver.closed(self._end_code)
        elif self._transport is not None and (self._hearing is not None or self._closing):
            self._transport.underlying_transport.resume_reading()

    def trust(self) -> None:
        """The peer has proved that it may be here; it no longer counts as a pending connection."""
        if self._transport is not None:
            self._on_trusted(self._transport)

    def stop(self) -> None:
        """Deliver no more messages. The socket stays open for sending; its end is still reported to the receiver."""
        self._hearing = None
        self._parts.clear()
        if self._transport is not None and not self._closing and self._end_code is None:
            self._transport.underlying_transport.pause_reading()

    def send(self, message: bytes) -> None:
        """A text message in UTF-8, straight to the connection. After the end it goes nowhere."""
        if self._transport is not None:
            self._transport.send(_TEXT, message)

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Send a close frame; the connection ends when the peer has answered it, at the latest after `CLOSE_S` or
        `CLOSING_FRAMES`. The first call counts.
        """
        if self._closing or self._end_code is not None or self._transport is None:
            return
        self._closing, self._hearing, self._unheard = True, None, 0
        # The type is an enumeration that takes any number.
        self._transport.send_close(code, close_reason(reason))  # type: ignore[arg-type]
        self._transport.underlying_transport.resume_reading()
        self._drop_later()

    # -- for a route that uses ASGI messages
    @property
    def is_paused(self) -> bool:
        return self._paused

    def send_binary(self, message: bytes) -> None:
        if self._transport is not None:
            self._transport.send(WSMsgType.BINARY, message)

    def read(self, reads: bool) -> None:
        """Unlike `stop`, without losing the frames that have been read already."""
        if self._transport is not None and not self._closing and self._end_code is None:
            transport = self._transport.underlying_transport
            (transport.resume_reading if reads else transport.pause_reading)()

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
        self._tell_paused(True)

    def resume_writing(self) -> None:
        self._tell_paused(False)

    # -- frames other than a whole text message
    def _uncommon(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._hearing is None and self._is_ignored(frame):
            return
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.close(PROTOCOL, "no extension was agreed")
            return
        match frame.msg_type:
            case WSMsgType.CLOSE:
                self._answer_close(transport, frame)
                return
            case WSMsgType.PING:
                if not self._paused:  # else a peer that pings and does not read would fill the memory
                    transport.send_pong(frame.get_payload_as_bytes())
            case WSMsgType.PONG:
                pass
            case _:
                self._assemble(frame)
                if frame.fin:
                    return  # the message was counted by its receiver
        if self._hearing is not None:
            self._hearing.overhead()

    def _is_ignored(self, frame: WSFrame) -> bool:
        """Whether a frame that nobody listens to needs no further look. Too many of them cut the peer off."""
        self._unheard += 1
        is_early = self._receiver is None and not self._closing
        limit = EARLY_FRAMES if is_early else CLOSING_FRAMES
        if self._unheard > limit:
            if self._unheard == limit + 1 and (is_early or self._closing):
                self._drop("frames")
            return True
        return not is_early and frame.msg_type is not WSMsgType.CLOSE

    def _assemble(self, frame: WSFrame) -> None:
        """RFC 6455, 5.4: a message is one frame, or a first one without FIN and continuations up to one with FIN."""
        continued = frame.msg_type is WSMsgType.CONTINUATION
        if continued != bool(self._parts):
            self.close(PROTOCOL, "fragments out of order")
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

    def _deliver(self, is_text: bool, message: bytes) -> None:
        if self._receiver is None:
            self._early.append((is_text, message))
        elif self._hearing is None:
            return
        elif is_text:
            self._hearing.text(memoryview(message))
        else:
            self._hearing.binary(memoryview(message))

    def _answer_close(self, transport: WSTransport, frame: WSFrame) -> None:
        """After both close frames the server ends the connection, no matter which side began (RFC 6455, 7.1.1)."""
        if not self._closing:
            self._closing, self._hearing = True, None
            code = frame.get_close_code()
            self._ended(_code_of(transport))  # first, so that a peer that sees our answer may come again
            transport.send_close(WSCloseCode.OK if code is WSCloseCode.NO_INFO else code)
            self._drop_later()
        transport.disconnect()

    def _ended(self, code: int) -> None:
        if self._end_code is None:
            self._end_code = code
            if self._receiver is not None:
                self._receiver.closed(code)

    def _drop_later(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(CLOSE_S, self._abort)

    def _drop(self, why: str) -> None:
        """End the connection at once, without a word to the peer."""
        CONNECTIONS_DROPPED.labels(why).inc()
        self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _tell_paused(self, paused: bool) -> None:
        self._paused = paused
        if self._receiver is not None:
            self._receiver.paused(paused)


def _code_of(transport: WSTransport) -> int:
    """The peer's code counts before ours; picows closes by itself what breaks the protocol."""
    handshake: WSCloseHandshake | None = transport.close_handshake
    if handshake is None:
        return ABRUPT
    told: WSCloseInfo | None = handshake.recv or handshake.sent
    if told is None:
        return ABRUPT
    return NO_STATUS if told.code is WSCloseCode.NO_INFO else int(told.code.value)
