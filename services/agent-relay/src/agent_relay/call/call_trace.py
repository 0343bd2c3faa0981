"""Observability of one call at a relay: metrics, a log line for each turn, and spans if the call is traced."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from agent_relay import metrics
from agent_relay.core.dialog.conversation_commands import Overdue
from agent_relay.core.protocol.voice_events import AudioDelta, ServerEvent, SpeechStarted, SpeechStopped
from bridge_common.base.log import fields, words
from bridge_common.observability import telemetry, tracing
from bridge_common.observability.tracing import Moment, Span
from bridge_common.store.leases import Claim
from bridge_common.wire.entries import Turn

log = logging.getLogger(__name__)

V = TypeVar("V")

KEPT: Final = 64
"""Maximum number of unfinished caller speeches and agent items to remember, because some never end."""


@dataclass(slots=True)
class _Setup:
    kind: str
    request_id: str
    began_ms: float


@dataclass(slots=True)
class _Item:
    """Timestamps of one agent item. `asked_ms`: end of the caller's speech that it answers, 0 if it answers none."""

    asked_ms: float
    first_delta_ms: float
    cut_ms: float = 0.0


class CallTrace:
    def __init__(self, claim: Claim, traceparent: str, *, shows_words: bool = True) -> None:
        self._claim = claim
        self._shows_words = shows_words
        self._traceparent = traceparent if tracing.is_on() else ""
        self._exemplar = telemetry.exemplar(self._traceparent)
        self._setup: _Setup | None = None
        self._caller_began_ms: dict[str, float] = {}
        """Start time of each speech of the caller, by item id."""
        self._asked_ms = 0.0
        self._items: dict[str, _Item] = {}
        self._newest = ""

    # -- voice sessions
    def session_begins(self, request_id: str, *, kind: str) -> None:
        self._setup = _Setup(kind, request_id, tracing.now_ms())

    def session_ready(self, session_id: str) -> None:
        self._end_setup(session_id=session_id)

    def session_over(self, why: str) -> None:
        self._end_setup(failure=why)

    def _end_setup(self, *, session_id: str = "", failure: str = "") -> None:
        setup, self._setup = self._setup, None
        if setup is None:
            return
        now = tracing.now_ms()
        if not failure:
            metrics.SESSION_SETUP.labels(setup.kind).observe((now - setup.began_ms) / 1000, self._exemplar)
        about: dict[str, str | int] = {"kind": setup.kind, "request_id": setup.request_id, "epoch": self._claim.epoch}
        if session_id:
            about["session_id"] = session_id
        self._emit("voice session", setup.began_ms, now, about, failure=failure)

    # -- turns
    def following(self, on_event: Callable[[ServerEvent], None]) -> Callable[[ServerEvent], None]:
        """Wrap `on_event` to record the times of turns. Return it unchanged if the call is not traced."""
        if not self._traceparent:
            return on_event

        def noted(event: ServerEvent) -> None:
            kind = type(event)
            if kind is AudioDelta or kind is SpeechStarted or kind is SpeechStopped:
                self._note(event)
            on_event(event)

        return noted

    def barge_in(self, item_id: str) -> None:
        """Record that the caller interrupted the item, so that its remaining audio is cleared."""
        metrics.BARGE_INS.inc()
        item = self._items.get(item_id)
        if item is not None:
            item.cut_ms = tracing.now_ms()

    def overdue(self, overdue: Overdue) -> None:
        metrics.OVERDUE_SPEECH.labels(overdue.kind, overdue.outcome).inc()
        where = fields(call_id=self._claim.call_id, kind=overdue.kind, outcome=overdue.outcome, error=overdue.why)
        log.warning("agent response overdue", extra=where)

    def turn(self, turn: Turn) -> None:
        metrics.TURNS.labels(turn.role).inc()
        for histogram, ms in ((metrics.FIRST_DELTA, turn.first_delta_ms), (metrics.FIRST_FRAME, turn.first_frame_ms)):
            if ms >= 0:
                histogram.observe(ms / 1000, self._exemplar)
        about = _about(turn)
        log.info(
            "turn completed",
            extra=fields(call_id=self._claim.call_id, text=words(turn.text, shown=self._shows_words), **about),
        )
        item = self._items.pop(turn.item_id, None)
        if item is None or turn.role != "agent":
            return
        moments = [Moment("first delta", item.first_delta_ms)]
        if item.asked_ms and turn.first_frame_ms >= 0:
            moments.append(Moment("first frame", item.asked_ms + turn.first_frame_ms))
        if item.cut_ms:
            moments.append(Moment("barge-in", item.cut_ms, {"heard_ms": turn.heard_ms}))
        self._emit("agent turn", item.asked_ms or item.first_delta_ms, tracing.now_ms(), about, moments)

    def _note(self, event: ServerEvent) -> None:
        match event:
            case AudioDelta():
                if event.item_id != self._newest and event.item_id not in self._items:
                    _keep(self._items, event.item_id, _Item(self._asked_ms, tracing.now_ms()))
                    self._asked_ms = 0.0
                self._newest = event.item_id
            case SpeechStarted():
                _keep(self._caller_began_ms, event.item_id, tracing.now_ms())
            case SpeechStopped():
                now = self._asked_ms = tracing.now_ms()
                began_ms = self._caller_began_ms.pop(event.item_id, now)
                self._emit("caller turn", began_ms, now, {"role": "caller", "item_id": event.item_id})

    def _emit(
        self,
        name: str,
        began_ms: float,
        ended_ms: float,
        about: dict[str, str | int],
        moments: list[Moment] | None = None,
        failure: str = "",
    ) -> None:
        if self._traceparent:
            span = Span(
                name=name,
                began_ms=began_ms,
                ended_ms=ended_ms,
                attributes={"call_id": self._claim.call_id, **about},
                moments=moments or (),
                failure=failure,
            )
            tracing.export(self._traceparent, span)


def _about(turn: Turn) -> dict[str, str | int]:
    about: dict[str, str | int] = {"role": turn.role, "item_id": turn.item_id}
    if turn.role == "agent":
        about |= {"interrupted": turn.interrupted, "heard_ms": turn.heard_ms}
        latencies = {"first_delta_ms": turn.first_delta_ms, "first_frame_ms": turn.first_frame_ms}
        about |= {name: ms for name, ms in latencies.items() if ms >= 0}
    return about


def _keep(kept: dict[str, V], key: str, value: V) -> None:
    kept[key] = value
    if len(kept) > KEPT:
        del kept[next(iter(kept))]
