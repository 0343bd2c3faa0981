"""The one response that may be active, and what waits for it to end.

A second `response.create` during an active response is refused with `conversation_already_has_active_response`, and so
a request is held back until `response.done`. A response is believed active only on the server's word: a flag set on
sending would wait for ever when the request is refused or lost (see `expired`).
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import TypeAlias

from agent_relay.core.voice_live import ClientEvent, ErrorEvent

ANSWER_S = 5.0
"""How long a request may stay without an answer before it counts as lost."""
ALREADY_ACTIVE = "conversation_already_has_active_response"


class Purpose(StrEnum):
    ANSWER = "answer"
    """A bare request: the agent continues the conversation."""
    GREETING = "greeting"
    FALLBACK = "fallback"
    SAY = "say"
    """A sentence that somebody outside wants said."""


UNKNOWN = "unknown"
"""Id of an active response that only a refusal told us of."""

Request: TypeAlias = tuple[ClientEvent, Purpose]


class Responses:
    def __init__(self) -> None:
        self.active = ""
        """Id of the active response, "" when there is none."""
        self.purpose: Purpose = Purpose.ANSWER
        """What the active response, or the last one, was for."""
        self._asked: Request | None = None
        self._credited: Request | None = None
        """The request that the active response was taken to answer."""
        self._waits_since = 0.0
        self._asks = 0
        self._waiting: deque[Request] = deque()

    @property
    def idle(self) -> bool:
        return not self.active and self._asked is None and not self._waiting

    @property
    def next_at(self) -> float | None:
        return self._waits_since + ANSWER_S if self._asked or self.active == UNKNOWN else None

    @property
    def asked_at(self) -> float:
        """When the last request was sent."""
        return self._waits_since

    def is_active_for(self, purpose: Purpose, response_id: str) -> bool:
        return self.active == response_id and self.purpose is purpose

    def hold(self, purpose: Purpose) -> bool:
        """Whether something is asked for or under way for this purpose."""
        asked = [self._asked] if self._asked else []
        return (bool(self.active) and self.purpose is purpose) or any(
            one is purpose for _, one in (*asked, *self._waiting)
        )

    def withdraw(self, purpose: Purpose) -> None:
        """What was not sent yet is not wanted any more."""
        self._waiting = deque(request for request in self._waiting if request[1] is not purpose)

    def ask(self, event: ClientEvent, purpose: Purpose, now: float) -> list[ClientEvent]:
        """What to send now: the request, or nothing while it has to wait. One bare request waiting is enough."""
        if purpose is not Purpose.ANSWER or all(waiting is not purpose for _, waiting in self._waiting):
            self._waiting.append((event, purpose))
        return self._next(now)

    def created(self, response_id: str) -> None:
        self.purpose = self._asked[1] if self._asked else Purpose.ANSWER
        self._credited, self._asked = self._asked, None
        self.active = response_id

    def done(self, response_id: str, now: float) -> list[ClientEvent]:
        if self.active in (response_id, UNKNOWN):
            self.active = ""
            self._credited = None
        return self._next(now)

    def refused(self, error: ErrorEvent, now: float) -> Request | None:
        """The request that `error` refuses, taken back; None when the error is about something else.

        A request refused because another response is active waits for that one's end instead, and is not reported.
        Voice Live may have begun that other response by itself just before our request came, and we took it for ours.
        """
        busy = error.code == ALREADY_ACTIVE or "already has an active response" in error.message
        for request in (self._asked, self._credited if busy else None):
            if request is not None and (error.event_id == request[0]["event_id"] or (busy and not error.event_id)):
                break
        else:
            return None
        self._asked = self._credited = None
        if not busy:
            return request
        self._waiting.appendleft(request)
        self.purpose = Purpose.ANSWER
        if not self.active:
            self.active, self._waits_since = UNKNOWN, now
        return None

    def expired(self, now: float) -> list[ClientEvent]:
        """Give up a request that was never answered, or a response that only a refusal told us of."""
        if self.next_at is None or now < self.next_at:
            return []
        self._asked = None
        if self.active == UNKNOWN:
            self.active = ""
        return self._next(now)

    def lost(self) -> list[Purpose]:
        """The session is gone; what it still owed responses for."""
        owed = [purpose for _, purpose in ([self._asked] if self._asked else []) + list(self._waiting)]
        if self.active:
            owed.insert(0, self.purpose)
        self.active = ""
        self._asked = self._credited = None
        self._waiting.clear()
        return owed

    def _next(self, now: float) -> list[ClientEvent]:
        if self.active or self._asked is not None or not self._waiting:
            return []
        event, purpose = self._waiting.popleft()
        self._asks += 1
        numbered: ClientEvent = {**event, "event_id": f"{purpose}-{self._asks}"}
        self._asked, self._waits_since = (numbered, purpose), now
        return [numbered]
