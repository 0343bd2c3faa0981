"""Configures a voice session, without the fields of the profile that the service rejects."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from agent_relay.core.protocol.session_refusal import error_line
from agent_relay.core.protocol.voice_events import (
    ClientEvent,
    ErrorEvent,
    ServerEvent,
    SessionCreated,
    update_session,
)

ATTEMPTS: Final = 3
_FIELD: Final = re.compile(r"'?session\.([a-z_]+(?:\.[a-z_]+)*)")


class SessionSetup:
    """The setup of a voice session. Call `begin` for each new socket, and pass its events until `session.updated` to
    `answer`.
    """

    def __init__(self, session: Mapping[str, object], essential: Mapping[str, object]) -> None:
        self._wanted = self._session = session
        self._essential = essential
        self._attempts = 0
        self.error = ""
        """Latest error that the service reported about this session."""
        self.refusals: list[str] = []
        """Fields that were left out, each with the error code."""
        self.failed = False
        """Whether the session cannot be configured, because `ATTEMPTS` updates were rejected."""

    def begin(self) -> None:
        self._session, self._attempts = self._wanted, 0
        self.error, self.refusals, self.failed = "", [], False

    def is_for(self, session: Mapping[str, object]) -> bool:
        return self._wanted == session

    def answer(self, event: ServerEvent) -> list[ClientEvent]:
        """Return the events to send in response to an event before `session.updated`."""
        if isinstance(event, SessionCreated):
            return [self._update()]
        if not isinstance(event, ErrorEvent):
            return []
        self.error = error_line(event)
        if not (event.event_id.startswith("update-") or _field_of(event)):
            # The agent is not available; the service closes the socket itself.
            return []
        if self._attempts >= ATTEMPTS:
            self.failed = True
            return []
        self._leave_out(event)
        return [self._update()]

    def _update(self) -> ClientEvent:
        self._attempts += 1
        return update_session(self._session, f"update-{self._attempts}")

    def _leave_out(self, error: ErrorEvent) -> None:
        """Leave out the rejected field, or all optional ones if the error does not state the field."""
        without = _without(self._session, self._essential, _field_of(error).split("."))
        name, self._session = without or ("all but the essentials", self._essential)
        self.refusals.append(f"{name}: {error.code}")


def _without(
    session: Mapping[str, object], essential: Mapping[str, object], path: Sequence[str]
) -> tuple[str, Mapping[str, object]] | None:
    """Remove a field. Return its path and the session without it; None if the field is essential or unknown.

    An object without essential fields is removed completely, even if only one of its fields was rejected.
    """
    name, *inner = path
    if name not in session:
        return None
    if name not in essential:
        return name, {key: value for key, value in session.items() if key != name}
    fields, essential_fields = session[name], essential[name]
    if not inner or not isinstance(fields, Mapping) or not isinstance(essential_fields, Mapping):
        return None
    without = _without(fields, essential_fields, inner)
    return None if without is None else (f"{name}.{without[0]}", {**session, name: without[1]})


def _field_of(error: ErrorEvent) -> str:
    """Return the path of the rejected field from the error's `param` or message, "" if it contains none."""
    found = _FIELD.search(error.param) or _FIELD.search(error.message)
    return found.group(1) if found else ""
