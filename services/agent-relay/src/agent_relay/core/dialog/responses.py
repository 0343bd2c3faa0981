"""The one response that may be active, and the one pending request for a response.

A second `response.create` during an active response is rejected with `conversation_already_has_active_response`, so
requests are sent only while `idle`. A response counts as active only when the server reports it: a flag set on sending
would never be cleared if the request is rejected or lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from agent_relay.core.protocol.voice_events import ClientEvent, ErrorEvent

ALREADY_ACTIVE: Final = "conversation_already_has_active_response"
_OF_OTHER_EVENTS: Final = ("response_cancel", "item_", "input_audio_buffer", "cannot_update")
"""Prefixes of error codes that concern client events other than a request for a response."""
_IDS_KEPT: Final = 64


class Purpose(StrEnum):
    ANSWER = "answer"
    """A request without text: the agent continues the conversation."""
    GREETING = "greeting"
    FALLBACK = "fallback"
    SAY = "say"
    """A sentence of an announcement."""
    INTERIM = "interim"
    """A phrase that is spoken while a tool runs."""

    @property
    def answers(self) -> bool:
        """Whether the response is one that the caller waits for."""
        return self not in (Purpose.SAY, Purpose.INTERIM)


UNKNOWN: Final = "unknown"
"""Id of an active response that only the rejection of a request reported."""

Request: TypeAlias = tuple[ClientEvent, Purpose]


@dataclass(frozen=True, slots=True)
class ResponseRefusal:
    purpose: Purpose
    busy: bool
    """Whether the service rejected the request because another response is active. The same request can succeed after
    its end.
    """


class Responses:
    def __init__(self) -> None:
        self.active = ""
        """Id of the active response, "" when there is none."""
        self.purpose: Purpose = Purpose.ANSWER
        """Purpose of the active response, or of the last one."""
        self.asked_at = 0.0
        """When the last request was sent."""
        self.requested = False
        """Whether the active response (or the last one) counts as the answer to a request of the relay."""
        self._asked: Request | None = None
        self._credited: Request | None = None
        """The request that the active response is assumed to answer."""
        self._asks = 0

    @property
    def idle(self) -> bool:
        return not self.active and self._asked is None

    @property
    def asking(self) -> bool:
        """Whether a request was sent and its response has not begun."""
        return self._asked is not None

    def is_active_for(self, purpose: Purpose, response_id: str) -> bool:
        return self.active == response_id and self.purpose is purpose

    def hold(self, purpose: Purpose) -> bool:
        asked = self._asked is not None and self._asked[1] is purpose
        return asked or (bool(self.active) and self.purpose is purpose)

    def ask(self, event: ClientEvent, purpose: Purpose, now: float) -> ClientEvent:
        """Return the request to send now, with an event id. Call it only while `idle`."""
        assert self.idle
        self._asks += 1
        numbered: ClientEvent = {**event, "event_id": f"{purpose}-{self._asks}"}
        self._asked, self.asked_at = (numbered, purpose), now
        return numbered

    def created(self, response_id: str) -> None:
        self.requested = self._asked is not None
        self.purpose = self._asked[1] if self._asked else Purpose.ANSWER
        self._credited, self._asked = self._asked, None
        self.active = response_id

    def done(self, response_id: str) -> None:
        if self.active in (response_id, UNKNOWN):
            self.active = ""
            self._credited = None

    def refused(self, error: ErrorEvent) -> ResponseRefusal | None:
        """Remove and return the request that `error` rejects; None if the error is about something else.

        An error without an event id is about the pending request, if there is one. Voice Live also rejects a request if
        it began a response by itself just before the request arrived; then that response was mistaken for the answer to
        the request.
        """
        busy = error.code == ALREADY_ACTIVE or "already has an active response" in error.message
        unnamed = not error.event_id and not error.code.startswith(_OF_OTHER_EVENTS)
        for request in (self._asked, self._credited if busy else None):
            if request is not None and (unnamed or error.event_id == request[0]["event_id"]):
                break
        else:
            return None
        self._asked = self._credited = None
        if busy:
            self.purpose, self.requested = Purpose.ANSWER, False
            self.active = self.active or UNKNOWN
        return ResponseRefusal(request[1], busy)

    def forget(self) -> str:
        """Drop the pending request and the active response. Return the response's id, "" if it is unknown or there is
        none.
        """
        active, self.active = self.active, ""
        self._asked = self._credited = None
        return "" if active == UNKNOWN else active


class RecentEvents:
    """Recognizes events that the service delivers twice, by the latest ids of one kind."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}

    def is_new(self, id_: str) -> bool:
        """Remember the id. Return whether it was not among the latest ones."""
        if id_ in self._ids:
            return False
        self._ids[id_] = None
        if len(self._ids) > _IDS_KEPT:
            del self._ids[next(iter(self._ids))]
        return True

    def forget(self, id_: str) -> bool:
        """Forget the id, so that it counts as new again. Return whether it was among the latest ones."""
        return self._ids.pop(id_, id_) is None
