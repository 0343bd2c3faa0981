"""A media socket as its driver sees it: messages by callback, sending without await, an explicit close.

Two connections provide it. `DirectSocket` is offered by our WebSocket protocol for uvicorn as an ASGI extension and
costs nothing beyond the parser; `MessageSocket` works over the plain ASGI messages of any server.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import Final, Protocol

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL: Final = 1002
NO_STATUS: Final = 1005
ABRUPT: Final = 1006
INVALID_TEXT: Final = 1007
TOO_BIG: Final = 1009
INTERNAL: Final = 1011

REASON_BYTES: Final = 120
"""A close frame has room for 123."""
WRITE_HIGH_BYTES: Final = 32 * 1024
"""If more than this is waiting in the process, the peer counts as not reading."""

EXTENSION: Final = "bridge.frames"
"""`scope["extensions"][EXTENSION]["socket"]` is a `FrameSocket`, to be used once the connection is accepted. From its
first use on, the route must neither receive nor send ASGI messages."""


class Receiver(Protocol):
    """Called with everything that arrives on a socket. Nothing here may block."""

    def text(self, message: memoryview) -> None:
        """A whole text message; the bytes are valid during the call only."""

    def binary(self, message: memoryview) -> None:
        """A whole binary message; the bytes are valid during the call only."""

    def overhead(self) -> None:
        """A frame without a whole message: a ping, a pong or a fragment. A peer has no reason to send many.

        Not reported by a server without the extension.
        """

    def paused(self, paused: bool) -> None:
        """The peer does not read fast enough for what is sent, or does again."""

    def closed(self, code: int) -> None:
        """Nothing more will arrive: the peer's close code, or ours, or 1006 if the connection was lost."""


class SocketState(Enum):
    UNHEARD = "unheard"
    """There is no receiver yet."""
    LISTENING = "listening"
    STOPPED = "stopped"
    """Messages are not delivered; the socket is open for sending."""
    CLOSING = "closing"
    """We have sent a close frame."""
    CLOSED = "closed"
    """The peer has closed, or the connection is lost."""


OPEN_STATES: Final = (SocketState.UNHEARD, SocketState.LISTENING, SocketState.STOPPED)


class FrameSocket(ABC):
    """The state of a socket, without its connection. Delivers nothing until `listen`; sends from the start."""

    def __init__(self) -> None:
        self._state = SocketState.UNHEARD
        self._receiver: Receiver | None = None
        self._hearing: Receiver | None = None
        """The receiver, while it gets messages: in the state `LISTENING`."""
        self._early: list[tuple[bool, bytes]] = []
        """Messages that arrived with the request, and whether each is text; at most one read's worth."""
        self._end_code = ABRUPT
        self._is_paused = False

    @property
    def is_paused(self) -> bool:
        """Whether the peer does not read."""
        return self._is_paused

    def listen(self, receiver: Receiver) -> None:
        """Deliver everything to `receiver` from now on, earlier messages first. Also ends a `stop`."""
        self._receiver = receiver
        if self._state in OPEN_STATES:
            self._enter(SocketState.LISTENING)
            early, self._early = self._early, []
            for is_text, message in early:
                self._deliver(is_text, message)
        if self._state is SocketState.CLOSED:
            receiver.closed(self._end_code)
        elif self._state is not SocketState.STOPPED:
            self.read(True)

    def stop(self) -> None:
        """Deliver no more messages. The socket stays open for sending; its end is still reported to the receiver."""
        if self._state is SocketState.LISTENING:
            self.read(False)
            self._enter(SocketState.STOPPED)

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Send a close frame; the connection ends when the peer has answered it, or after a time limit. The first call
        counts.
        """
        if self._state in OPEN_STATES:
            self._enter(SocketState.CLOSING)
            self._send_close(code, _close_reason(reason))
            self.read(True)

    @abstractmethod
    def trust(self) -> None:
        """The peer is authenticated; it no longer counts as a pending connection."""

    @abstractmethod
    def send(self, message: bytes) -> None:
        """Send a text message in UTF-8. After the end it is dropped."""

    @abstractmethod
    def read(self, reads: bool) -> None:
        """Read from the connection, or pause. Unlike `stop`, this loses no frame that has been read already."""

    @abstractmethod
    def _send_close(self, code: int, reason: str) -> None:
        """Send a close frame, and end the connection if the peer does not answer in time."""

    def _deliver(self, is_text: bool, message: bytes) -> None:
        if self._state is SocketState.UNHEARD:
            self._early.append((is_text, message))
        elif self._hearing is None:
            return
        elif is_text:
            self._hearing.text(memoryview(message))
        else:
            self._hearing.binary(memoryview(message))

    def _enter(self, state: SocketState) -> None:
        """The only place that sets the state."""
        self._state = state
        self._hearing = self._receiver if state is SocketState.LISTENING else None

    def _ended(self, code: int) -> None:
        if self._state is not SocketState.CLOSED:
            self._end_code = code
            self._enter(SocketState.CLOSED)
            if self._receiver is not None:
                self._receiver.closed(code)

    def _report_paused(self, paused: bool) -> None:
        self._is_paused = paused
        if self._receiver is not None:
            self._receiver.paused(paused)


def _close_reason(text: str) -> str:
    """Cut to what a close frame can hold."""
    return text.encode()[:REASON_BYTES].decode(errors="ignore")
