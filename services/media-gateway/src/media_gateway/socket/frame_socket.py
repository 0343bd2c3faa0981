"""The interface of a media socket: messages by callback, sending without await, an explicit close.

There are two implementations. `DirectSocket` is offered by the gateway's WebSocket protocol for uvicorn as an ASGI
extension, and has no cost beyond the parser; `MessageSocket` uses the plain ASGI messages of any server.
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
"""Maximum length of a close reason. A close frame has room for 123 bytes."""
WRITE_HIGH_BYTES: Final = 32 * 1024
"""Maximum bytes that wait in the process; with more, the peer counts as not reading."""

EXTENSION: Final = "bridge.frames"
"""Name of the ASGI extension. `scope["extensions"][EXTENSION]["socket"]` is a `FrameSocket`, to be used after the
connection is accepted. From its first use on, the route must neither receive nor send ASGI messages.
"""


class Receiver(Protocol):
    """Callbacks for everything that arrives on a socket. They must not block."""

    def text(self, message: memoryview) -> None:
        """Handle a whole text message. The bytes are valid during the call only."""

    def binary(self, message: memoryview) -> None:
        """Handle a whole binary message. The bytes are valid during the call only."""

    def overhead(self) -> None:
        """Count a frame without a whole message: a ping, a pong or a fragment. A genuine peer sends few of them.

        Not called by a server without the extension.
        """

    def paused(self, paused: bool) -> None:
        """Handle a peer that does not read fast enough for the audio that is sent, or that reads again."""

    def closed(self, code: int) -> None:
        """Handle the end of the socket. `code`: the peer's close code, or that of `close`, or 1006 if the connection
        was lost.
        """


class SocketState(Enum):
    UNHEARD = "unheard"
    """No receiver was set yet."""
    LISTENING = "listening"
    STOPPED = "stopped"
    """Messages are not delivered; the socket is open for sending."""
    CLOSING = "closing"
    """A close frame was sent."""
    CLOSED = "closed"
    """The peer has closed the socket, or the connection is lost."""


OPEN_STATES: Final = (SocketState.UNHEARD, SocketState.LISTENING, SocketState.STOPPED)


class FrameSocket(ABC):
    """A socket, independent of its connection. Delivers messages after `listen`; can send from the start."""

    def __init__(self) -> None:
        self._state = SocketState.UNHEARD
        self._receiver: Receiver | None = None
        self._hearing: Receiver | None = None
        """The receiver in the state `LISTENING`, otherwise None."""
        self._early: list[tuple[bool, bytes]] = []
        """Messages that arrived with the request, and whether each is text; at most those of one read."""
        self._end_code = ABRUPT
        self._is_paused = False

    @property
    def is_paused(self) -> bool:
        """Whether the peer does not read."""
        return self._is_paused

    def listen(self, receiver: Receiver) -> None:
        """Deliver messages to `receiver` from now on, earlier messages first. Also ends a `stop`."""
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
        """Deliver no more messages. The socket can still send; its end is still reported to the receiver."""
        if self._state is SocketState.LISTENING:
            self.read(False)
            self._enter(SocketState.STOPPED)

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Send a close frame. The connection ends when the peer has replied, or after a time limit. Only the first call
        has an effect.
        """
        if self._state in OPEN_STATES:
            self._enter(SocketState.CLOSING)
            self._send_close(code, _close_reason(reason))
            self.read(True)

    @abstractmethod
    def trust(self) -> None:
        """Stop counting the socket as a pending connection: the peer is authenticated."""

    @abstractmethod
    def send(self, message: bytes) -> None:
        """Send a text message in UTF-8. After the close frame it is dropped."""

    @abstractmethod
    def read(self, reads: bool) -> None:
        """Read from the connection, or pause. Unlike `stop`, this loses no frame that has been read already."""

    @abstractmethod
    def _send_close(self, code: int, reason: str) -> None:
        """Send a close frame, and end the connection if the peer does not reply in time."""

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
        """Set the state. No other function sets it."""
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
    """Cut a reason to the length that fits into a close frame."""
    return text.encode()[:REASON_BYTES].decode(errors="ignore")
