"""Traces: one per call, across the three services. Disabled unless a setting contains a destination.

Spans are reported with their times after they have ended: stages of a call begin in one process and end in another, so
no span is kept open. The audio path is not traced. The `traceparent` (W3C Trace Context) that call-control stores in
the record of the call links the spans.

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
    """An event within a span."""

    name: str
    at_ms: float
    attributes: Attributes = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A finished operation. `failure`: why the operation failed; empty for success."""

    name: str
    began_ms: float
    ended_ms: float
    kind: Kind = "internal"
    attributes: Attributes = field(default_factory=dict)
    moments: Sequence[Moment] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """The start of a trace. Its first span is exported by `export`; without that call, there is no trace."""

    traceparent: str
    export: Callable[[], None]


class Tracing(Protocol):
    """Exporter of spans. Its methods neither block nor raise."""

    def begin(self, span: Span) -> Begun:
        """Start a trace with this span."""

    def export(self, traceparent: str, span: Span) -> None:
        """Export another span of the trace."""

    def stop(self) -> None:
        """Send the remaining spans, within a few seconds."""


class _Off:
    def begin(self, span: Span) -> Begun:
        return Begun("", lambda: None)

    def export(self, traceparent: str, span: Span) -> None:
        pass

    def stop(self) -> None:
        pass


class _Switch:
    """The active exporter; set at process start and by tests."""

    def __init__(self) -> None:
        self.on = False
        self.tracing: Tracing = _Off()


_switch: Final = _Switch()


def is_on() -> bool:
    return _switch.on


def begin(span: Span) -> Begun:
    """Start the trace of a call with this span. The traceparent is empty if traces are disabled."""
    return _switch.tracing.begin(span)


def export(traceparent: str, span: Span) -> None:
    """Export another span of the call. Does nothing without a traceparent: the call is not traced."""
    if traceparent:
        _switch.tracing.export(traceparent, span)


def use(tracing: Tracing | None) -> None:
    """Set the exporter; None disables traces."""
    _switch.on = tracing is not None
    _switch.tracing = tracing or _Off()


def stop() -> None:
    tracing = _switch.tracing
    use(None)
    tracing.stop()


def now_ms() -> float:
    return time.time() * 1000
