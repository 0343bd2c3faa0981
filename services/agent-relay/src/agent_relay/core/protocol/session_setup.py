"""Configures a voice session, without the fields of the profile that the service rejects.

A session of a Foundry voice agent (`defined`) is configured by the service, from the agent's definition. The update of
the relay only overrides settings. It is not documented whether `session.updated` follows without an update, only after
one, or never, and whether an update is accepted, so that the setup completes in each case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from agent_relay.core.protocol.session_refusal import error_line
from agent_relay.core.protocol.voice_events import (
    AudioDelta,
    ClientEvent,
    ErrorEvent,
    ResponseCreated,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    update_session,
)

ATTEMPTS: Final = 3
DEFINED_S: Final = 2.0
"""A voice agent's session begins this long after `session.created` if no `session.updated` has arrived."""
UPDATE: Final = "update-"
"""Prefix of the event ids of updates."""
_AUDIO: Final = "audio/pcm"
_FIELD: Final = re.compile(r"'?session\.([a-z_]+(?:\.[a-z_]+)*)")


class SessionSetup:
    """The setup of a voice session. Call `begin` for each new socket, and pass its events to `answer` until the session
    is `configured`.
    """

    def __init__(
        self, session: Mapping[str, object], essential: Mapping[str, object], *, defined: bool = False
    ) -> None:
        self._wanted = self._session = session
        self._essential = essential
        self.by_definition = defined
        """Whether the service configures the session itself."""
        self._attempts = 0
        self._reported: SessionUpdated | None = None
        """The latest report of a session that the service defines."""
        self.error = ""
        """Latest error that the service reported about this session."""
        self.refusals: list[str] = []
        """Fields that were left out, each with the error code."""
        self.failed = False
        """Whether the session cannot be configured."""
        self.configured: SessionUpdated | None = None
        """The session, once it is configured."""

    def begin(self) -> None:
        self._session, self._attempts, self._reported = self._wanted, 0, None
        self.error, self.refusals, self.failed, self.configured = "", [], False, None

    def is_for(self, session: Mapping[str, object]) -> bool:
        return self._wanted == session

    @property
    def defined(self) -> bool:
        """Whether the service has created a session that it configures itself: see `begin_as_defined`."""
        return self._reported is not None and self.configured is None and not self.failed

    def begin_as_defined(self) -> None:
        """Complete the setup without `session.updated`. Call it `DEFINED_S` after the session was `defined`."""
        if self._reported is not None:
            self._complete(self._reported)

    def answer(self, event: ServerEvent) -> list[ClientEvent]:
        """Return the events to send in response to an event before the session is `configured`."""
        match event:
            case SessionCreated():
                if self.by_definition:
                    self._reported = SessionUpdated(*(getattr(event, name) for name in event.__struct_fields__))
                return [self._update()]
            case SessionUpdated():
                self._updated(event)
            case ResponseCreated() | AudioDelta():
                self._greeted()
            case ErrorEvent():
                return self._refused(event)
        return []

    def _greeted(self) -> None:
        """Complete the setup because the greeting has begun. The tools of the update may not have been applied yet."""
        session = self._reported
        if session is not None and session.functions is not None and not self._sent_functions <= set(session.functions):
            session = replace(session, functions=None)
        if session is not None:
            self._complete(session)

    def _updated(self, event: SessionUpdated) -> None:
        if not self.by_definition:
            self.configured = event
            return
        created_as = self._reported.conversation_id if self._reported is not None else ""
        self._reported = replace(event, conversation_id=event.conversation_id or created_as)
        # The first report may precede the answer to the update.
        if event.functions is None or self._sent_functions <= set(event.functions):
            self._complete(self._reported)

    @property
    def _sent_functions(self) -> set[object]:
        tools = self._session.get("tools", ())
        return {tool["name"] for tool in tools} if isinstance(tools, list) else set()

    def _complete(self, session: SessionUpdated) -> None:
        if other := sorted(set(session.audio_formats) - {_AUDIO}):
            self.failed = True
            self.error = (
                f"agent_audio_format: the agent's definition has {', '.join(other)}; set audio/pcm with 24000 Hz"
            )
        else:
            self.configured = session

    def _refused(self, event: ErrorEvent) -> list[ClientEvent]:
        self.error = error_line(event)
        if not (event.event_id.startswith(UPDATE) or _field_of(event)):
            # The agent is not available; the service closes the socket itself.
            return []
        last = self._session == self._essential or self._attempts >= ATTEMPTS
        if self._reported is not None and last:
            self.refusals.append(f"session.update: {event.code}")
            self._complete(self._reported)
            return []
        if self._attempts >= ATTEMPTS:
            self.failed = True
            return []
        self._leave_out(event)
        return [self._update()]

    def _update(self) -> ClientEvent:
        self._attempts += 1
        return update_session(self._session, f"{UPDATE}{self._attempts}")

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
