"""The states of a media session, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from bridge_common.wire.entries import Ended

ABRUPT: Final = 1006
"""Close code for a connection that ended without a close frame (RFC 6455, section 7.4)."""
_ANOTHER_LOSS_S: Final = 1.0
"""Maximum pause between two reports of the same loss. After a longer pause, a report counts as a new loss."""


class SessionState(Enum):
    OPENING = "opening"
    """The socket is attached to the call; the sample rate is not known yet."""
    STREAMING = "streaming"
    CLOSING = "closing"
    """The session is ending. Nothing is read from the socket; the streams of the call are still attached."""
    CLOSED = "closed"
    """The streams of the call are released. The socket is closed after the apology, if there is one."""


class SessionEvent(Enum):
    RATE_KNOWN = "rate known"
    END = "end"
    DETACHED = "detached"


_O, _S, _C, _X = SessionState.OPENING, SessionState.STREAMING, SessionState.CLOSING, SessionState.CLOSED

TRANSITIONS: Final = {
    (_O, SessionEvent.RATE_KNOWN): _S,
    (_O, SessionEvent.END): _C,
    (_S, SessionEvent.END): _C,
    (_O, SessionEvent.DETACHED): _X,
    (_S, SessionEvent.DETACHED): _X,
    (_C, SessionEvent.DETACHED): _X,
}
"""New state by state and event. Other events change nothing, so the first reason to end is kept."""


@dataclass(frozen=True, slots=True)
class SessionEnding:
    """Close code and reason of a session. `lost`: the call continues and has lost its media."""

    code: int = ABRUPT
    reason: str = ""
    lost: bool = True
    ended: Ended | None = None
    """The last entry of the downlink, if the call has ended."""


class MissingStream:
    """Measures how long Redis has reported the stream of a call as missing. The relay restores the call unless it has
    ended.
    """

    def __init__(self) -> None:
        self._since = self._seen_at = float("-inf")

    def seen(self, now: float) -> float:
        """Record a report, and return the seconds since the first report of this loss."""
        if now - self._seen_at > _ANOTHER_LOSS_S:
            self._since = now
        self._seen_at = now
        return now - self._since
