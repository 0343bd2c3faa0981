"""A media socket as its driver sees it: messages by callback, sending without await, an explicit close.

Two classes do this. `DirectSocket` is offered by our WebSocket protocol for uvicorn as an ASGI extension and costs
nothing beyond the parser; `MessageSocket` works over the plain ASGI messages of any server.
"""

from __future__ import annotations

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
"""When more is waiting beside the kernel's buffer, the peer counts as not reading."""

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


class FrameSocket(Protocol):
    """Delivers nothing until `listen` names the receiver; sends from the start."""

    def listen(self, receiver: Receiver) -> None:
        """Deliver everything to `receiver` from now on, earlier messages first. Also ends a `stop`."""

    def trust(self) -> None:
        """The peer is authenticated; it no longer counts as a pending connection."""

    def stop(self) -> None:
        """Deliver no more messages. The socket stays open for sending; its end is still reported to the receiver."""

    def send(self, message: bytes) -> None:
        """Send a text message in UTF-8. After the end it is dropped."""

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Send a close frame. The first call counts."""


def close_reason(text: str) -> str:
    """Cut to what a close frame can hold."""
    return text.encode()[:REASON_BYTES].decode(errors="ignore")
