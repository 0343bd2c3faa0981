"""Configuring a voice session: all that the profile wants, or what the service accepts of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from agent_relay.core.voice_live import ClientEvent, ErrorEvent, update_session

ATTEMPTS: Final = 3
_FIELD: Final = re.compile(r"'?session\.([a-z_]+)")


class SessionSetup:
    def __init__(self, session: Mapping[str, object], essential: Mapping[str, object]) -> None:
        self._wanted = self._session = session
        self._essential = essential
        self._attempts = 0
        self.left_out = ""
        """What the last refusal made us leave out."""

    def begin(self) -> None:
        """A new socket: everything is asked for again."""
        self._session, self._attempts = self._wanted, 0

    def update(self) -> ClientEvent:
        self._attempts += 1
        return update_session(self._session, f"update-{self._attempts}")

    def concerns(self, error: ErrorEvent) -> bool:
        return error.event_id.startswith("update-") or bool(_field_of(error))

    def simplify(self, error: ErrorEvent) -> bool:
        """Better a call with a plainer voice than none: leave out what was refused, or all that can be.

        False when nothing is left to try.
        """
        if self._attempts >= ATTEMPTS:
            return False
        name = _field_of(error)
        if name in self._session and name not in self._essential:
            self._session = {key: value for key, value in self._session.items() if key != name}
            self.left_out = name
        else:
            self._session = self._essential
            self.left_out = "all but the essentials"
        return True


def _field_of(error: ErrorEvent) -> str:
    """The field of the session that an error names, in its `param` or in the middle of its message."""
    found = _FIELD.search(error.param) or _FIELD.search(error.message)
    return found.group(1) if found else ""
