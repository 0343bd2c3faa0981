"""The states of a media session, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from bridge_common.wire.entries import Ended

ABRUPT: Final = 1006
"""The connection ended without a close frame (RFC 6455, section 7.4)."""
_ANOTHER_LOSS_S: Final = 1.0
"""A report after a longer pause is about another loss."""


class SessionState(Enum):
    OPENING = "opening"
    """The session has the call; the rate of its audio is not known."""
    STREAMING = "streaming"
    CLOSING = "closing"
    """The reason is known. Nothing is read from the socket; the call's streams are still attached."""
    CLOSED = "closed"
    """The call's streams belong to others. The socket is closed as soon as the caller has heard everything."""


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
"""An event that is not listed changes nothing: the first reason to end counts."""


@dataclass(frozen=True, slots=True)
class SessionEnding:
    """Why a session ends: the close code, and whether the call goes on and has lost its media."""

    code: int = ABRUPT
    reason: str = ""
    lost: bool = True
    ended: Ended | None = None
    """Set if the call is over."""


class MissingStream:
    """Reports of Redis that the call's stream is missing: its relay will write the call again, or the call is over."""

    def __init__(self) -> None:
        self._since = self._seen_at = float("-inf")

    def seen(self, now: float) -> float:
        """For how long the stream has been missing; 0 at the first report."""
        if now - self._seen_at > _ANOTHER_LOSS_S:
            self._since = now
        self._seen_at = now
        return now - self._since
