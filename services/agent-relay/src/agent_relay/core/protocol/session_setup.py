"""Configuring a voice session: all that the profile wants, or what the service accepts of it."""

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
    """From `session.created` to `session.updated` on one socket after the other."""

    def __init__(self, session: Mapping[str, object], essential: Mapping[str, object]) -> None:
        self._wanted = self._session = session
        self._essential = essential
        self._attempts = 0
        self.error = ""
        """What the service said last against this session."""
        self.refusals: list[str] = []
        """What had to be left out, each with the code of the refusal."""
        self.hopeless = False
        """Nothing is left to try."""

    def begin(self) -> None:
        """A new socket: everything is asked for again."""
        self._session, self._attempts = self._wanted, 0
        self.error, self.refusals, self.hopeless = "", [], False

    def wants(self, session: Mapping[str, object]) -> bool:
        return self._wanted == session

    def answer(self, event: ServerEvent) -> list[ClientEvent]:
        """What to send on an event that came before `session.updated`."""
        if isinstance(event, SessionCreated):
            return [self._update()]
        if not isinstance(event, ErrorEvent):
            return []
        self.error = error_line(event)
        if not (event.event_id.startswith("update-") or _field_of(event)):
            # Of an agent that cannot be had; the service closes the socket itself.
            return []
        if self._attempts >= ATTEMPTS:
            self.hopeless = True
            return []
        self._leave_out(event)
        return [self._update()]

    def _update(self) -> ClientEvent:
        self._attempts += 1
        return update_session(self._session, f"update-{self._attempts}")

    def _leave_out(self, error: ErrorEvent) -> None:
        """Better a call with a plainer voice than none: leave out what was refused, or all that can be."""
        without = _without(self._session, self._essential, _field_of(error).split("."))
        name, self._session = without or ("all but the essentials", self._essential)
        self.refusals.append(f"{name}: {error.code}")


def _without(
    session: Mapping[str, object], essential: Mapping[str, object], path: Sequence[str]
) -> tuple[str, Mapping[str, object]] | None:
    """The name of the removed field, and the session without it; None if nothing can be left out.

    An object without essential fields is left out as a whole, whichever of its fields was refused.
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
    """The path of the field that an error names, in its `param` or in the middle of its message."""
    found = _FIELD.search(error.param) or _FIELD.search(error.message)
    return found.group(1) if found else ""
