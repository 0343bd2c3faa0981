"""Liveness probes for a voice session while a response is due.

A slow model does not mean a dead session. After a short silence the relay sends a request that the service answers
immediately, independent of the model. Without an answer, the session counts as dead although its socket is open, but
only if it has answered a probe before. Sessions that never answered are checked by WebSocket pings only.
"""

from __future__ import annotations

from typing import Final

from agent_relay.core.dialog.conversation_commands import Abandon, Command, Send
from agent_relay.core.protocol.voice_events import ClientEvent, ErrorEvent, Other, ServerEvent

PROBE_S: Final = 1.0
"""A probe is sent after this time without an event."""
ANSWER_S: Final = 1.2
"""A session that does not answer within this time is dead. With `PROBE_S`, this is detected after 2.2 s."""
_PREFIX: Final = "probe-"
_NEVER: Final = float("-inf")
_REFUSED: Final = "invalid_request_error"


class Keepalive:
    """Liveness probes of one voice session, for use while a response is due. `asked_at`: time of the latest request."""

    __slots__ = ("_answers", "_open_probes", "_probed_at", "_probes", "last_event_at")

    def __init__(self) -> None:
        self.last_event_at = 0.0
        self._probed_at = _NEVER
        self._probes = self._open_probes = 0
        self._answers = False
        """Whether this session has answered a probe."""

    def begin(self, now: float) -> None:
        """Reset for a new session."""
        self.last_event_at = now
        self._probed_at = _NEVER
        self._open_probes = 0
        self._answers = False

    def is_own(self, event: ServerEvent, now: float) -> bool:
        """Record the arrival of an event. Return True for the answer to a probe, which needs no further handling."""
        self.last_event_at = now
        if type(event) is ErrorEvent:
            own = answers_probe(event) or self._may_answer_probe(event, now)
        else:
            own = type(event) is Other and event.type == "conversation.item.retrieved"
        if own:
            self._answers, self._open_probes = True, 0
        return own

    def next_at(self, asked_at: float) -> float | None:
        """Return the time of the next `check`; None for a session that was probed and has never answered."""
        if self._probed_at > self.last_event_at:
            return self._probed_at + ANSWER_S if self._answers else None
        if not self._answers and self._probed_at != _NEVER:
            return None
        return max(self.last_event_at, asked_at) + PROBE_S

    def check(self, asked_at: float, now: float) -> list[Command]:
        """Probe a session that was silent for `PROBE_S`; abandon a session that does not answer."""
        at = self.next_at(asked_at)
        if at is None or now < at:
            return []
        if self._probed_at > self.last_event_at:
            return [Abandon("the voice session does not answer any more")]
        return [self.probe(now)]

    def probe(self, now: float) -> Send:
        """Return a probe. The first is sent while the session is healthy, to learn whether it answers probes; later
        ones check that it is alive.
        """
        self._probed_at = now
        self._probes += 1
        self._open_probes += 1
        # The item does not exist, so that the service returns an error at once and nothing changes.
        ask: ClientEvent = {
            "type": "conversation.item.retrieve",
            "event_id": f"{_PREFIX}{self._probes}",
            "item_id": _PREFIX,
        }
        return Send(ask)

    def _may_answer_probe(self, event: ErrorEvent, now: float) -> bool:
        """Return whether the error may answer a probe: it has no event id, and arrives soon after a probe that is still
        unanswered.
        """
        unnamed = not event.event_id and event.code == _REFUSED and event.kind in ("", _REFUSED)
        return unnamed and self._open_probes > 0 and now < self._probed_at + 2 * ANSWER_S


def answers_probe(event: ErrorEvent) -> bool:
    """Return whether the error answers a probe. Without an event id, its code or message must refer to a probe."""
    if event.event_id:
        return event.event_id.startswith(_PREFIX)
    return event.code.startswith("item_retrieve") or _PREFIX in event.message
