"""The greeting of a Foundry voice agent, which the service speaks by itself at the beginning of every voice session.

The first session of a call opens while the phone rings: the greeting is held until the caller can hear it. A later
session of the same call would greet the caller again: there it is canceled, and the relay makes its first request after
it, because the service does not accept a request during a response.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from agent_relay.core.protocol.voice_events import (
    AudioDelta,
    FunctionCall,
    ResponseCreated,
    ServerEvent,
    SpeechStarted,
)

START_S: Final = 1.5
"""A greeting that has not begun this long after the session (or after the caller could hear it) is not expected any
more.
"""


class _Stage(Enum):
    OVER = auto()
    HELD = auto()
    UNWANTED = auto()


class OwnGreeting:
    """Watches the beginning of each voice session of one call. `possible`: the target is a voice agent. `expected`:
    according to the profile, its definition has a greeting.
    """

    def __init__(self, *, possible: bool = False, expected: bool = False) -> None:
        self._possible = possible
        self._expected = expected
        self._stage = _Stage.OVER
        self._held: list[ServerEvent] = []
        self.requests_at = 0.0
        """Earliest time of a request to the session."""

    @property
    def watches(self) -> bool:
        return self._stage is not _Stage.OVER

    @property
    def awaited(self) -> bool:
        """Whether the caller is to hear the greeting of the service, so that the relay requests none."""
        return self._stage is _Stage.HELD and (self._expected or any(_begins(event) for event in self._held))

    def session_ready(self, now: float, *, greeted: bool) -> None:
        """Handle a new voice session. `greeted`: the caller has been greeted already."""
        self._held = []
        if not self._possible:
            return
        self._stage = _Stage.UNWANTED if greeted else _Stage.HELD
        self.requests_at = now + START_S if greeted and self._expected else 0.0

    def session_lost(self) -> None:
        self._stage, self._held, self.requests_at = _Stage.OVER, [], 0.0

    def may_request(self, now: float) -> bool:
        if now >= self.requests_at:
            self.requests_at = 0.0
        return not self.requests_at

    def next_at(self) -> float | None:
        return self.requests_at or None

    def holds(self, event: ServerEvent) -> bool:
        """Return whether the event is held until `release`."""
        if self._stage is not _Stage.HELD:
            return False
        self._held.append(event)
        return True

    def release(self, *, granted: bool) -> list[ServerEvent]:
        """Return the events that were held. `granted`: the caller is to hear the greeting, in them or after them."""
        if self._stage is not _Stage.HELD:
            return []
        held, self._held = self._held, []
        self._stage = _Stage.OVER if granted else _Stage.UNWANTED
        return held

    def unwanted(self, event: ServerEvent, *, wanted: bool) -> str:
        """Return the id of the response that begins with this event and is to be canceled, else "". `wanted`: a
        response is pending that this one may be.
        """
        if self._stage is not _Stage.UNWANTED:
            return ""
        if _begins(event) or isinstance(event, SpeechStarted):
            self._stage, self.requests_at = _Stage.OVER, 0.0
        return "" if wanted or not isinstance(event, ResponseCreated | AudioDelta) else event.response_id


def _begins(event: ServerEvent) -> bool:
    return isinstance(event, ResponseCreated | AudioDelta | FunctionCall)
