"""Traces: one per call, across the three services. Off unless a setting names a destination.

Spans are reported once they have ended, with their times: stages of a call start in one process and end in another, so
no span is kept open, and the audio path is not traced. The `traceparent` (W3C Trace Context) that call-control stores
in the call's record links them.

Times are Unix ms.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias

Attributes: TypeAlias = Mapping[str, str | int | float | bool]
Kind: TypeAlias = Literal["internal", "client", "consumer"]
NOTHING: Final[Attributes] = {}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened within a span."""

    name: str
    at_ms: float
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """`failure`: why the operation failed; empty for success."""

    name: str
    began_ms: float
    ended_ms: float
    kind: Kind = "internal"
    attributes: Attributes = field(default_factory=dict)
    moments: Sequence[Moment] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """The start of a trace. Its first span counts once `tell` is called; without that there is no such trace."""

    traceparent: str
    tell: Callable[[], None]


class Tracing(Protocol):
    """Where spans go. Nothing here blocks or raises."""

    def begin(self, span: Span) -> Begun:
        """A trace that starts with this span."""

    def tell(self, traceparent: str, span: Span) -> None:
        """One more span of the trace."""

    def stop(self) -> None:
        """Send the remaining spans. Takes at most a few seconds."""


class _Off:
    def begin(self, span: Span) -> Begun:
        return Begun("", lambda: None)

    def tell(self, traceparent: str, span: Span) -> None:
        pass

    def stop(self) -> None:
        pass


class _Switch:
    """The active tracing; set at process start and by tests."""

    def __init__(self) -> None:
        self.on = False
        self.tracing: Tracing = _Off()


_switch: Final = _Switch()


def is_on() -> bool:
    return _switch.on


def begin(span: Span) -> Begun:
    """Start a call's trace with this span; the traceparent is empty when traces are off."""
    return _switch.tracing.begin(span)


def tell(traceparent: str, span: Span) -> None:
    """One more span of the call. Without a traceparent the call is not traced."""
    if traceparent:
        _switch.tracing.tell(traceparent, span)


def use(tracing: Tracing | None) -> None:
    """Trace to this from now on; None: to nothing."""
    _switch.on = tracing is not None
    _switch.tracing = tracing or _Off()


def stop() -> None:
    tracing = _switch.tracing
    use(None)
    tracing.stop()


def now_ms() -> float:
    return time.time() * 1000
