"""The current voice session of a conversation: its phase, its setup and its liveness.

CLOSED ──connected──► OPENING ──session.updated──► READY ──lost──► CLOSED
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final

from agent_relay.core.dialog.conversation_commands import Abandon, Command, PhaseChanged, WallClock, sends
from agent_relay.core.keepalive import Keepalive
from agent_relay.core.protocol.session_setup import DEFINED_S, UPDATE, SessionSetup
from agent_relay.core.protocol.voice_events import ErrorEvent, ServerEvent, SessionUpdated

OPENING_S: Final = 8.0
"""A session that is not configured within this time is abandoned."""


class Phase(StrEnum):
    CLOSED = "closed"
    OPENING = "opening"
    READY = "ready"


class VoiceSession:
    def __init__(self, setup: SessionSetup, clock: WallClock) -> None:
        self._phase = Phase.CLOSED
        self._since = 0.0
        self._defined_at: float | None = None
        """When a session was created that the service configures itself."""
        self._setup = setup
        self._clock = clock
        self._keepalive = Keepalive()

    @property
    def phase(self) -> Phase:
        return self._phase

    @property
    def ready(self) -> bool:
        return self._phase is Phase.READY

    @property
    def refusal(self) -> str:
        return self._setup.error if self._phase is Phase.OPENING else ""

    def connected(self, now: float) -> list[Command]:
        self._setup.begin()
        self._defined_at = None
        self._keepalive.begin(now)
        return self._enter(Phase.OPENING, "connected", now)

    def opening(self, event: ServerEvent, now: float) -> list[Command]:
        """Configure the session: return the commands for an event that arrived before the session is configured."""
        before = len(self._setup.refusals)
        commands = sends(self._setup.answer(event))
        if self._setup.failed:
            return [Abandon(f"session.update rejected: {self.refusal}", retry=False)]
        if self._setup.defined and self._defined_at is None:
            self._defined_at = now
        refused = [self._clock.notice("setting_refused", one, now) for one in self._setup.refusals[before:]]
        return [*refused, *commands]

    def refused_late(self, event: ErrorEvent, now: float) -> list[Command]:
        """Return the commands for an error that rejects an update after the session has begun, as a voice agent may do.
        Other errors need none.
        """
        late = self._setup.by_definition and event.event_id.startswith(UPDATE)
        return self.opening(event, now) if late else []

    @property
    def setup_result(self) -> SessionUpdated | None:
        """The configured session, until `configured` is called."""
        return self._setup.configured if self._phase is Phase.OPENING else None

    @property
    def _defined_by(self) -> float | None:
        defines = self._phase is Phase.OPENING and self._setup.defined and self._defined_at is not None
        return self._defined_at + DEFINED_S if defines and self._defined_at is not None else None

    def begin_as_defined(self, now: float) -> None:
        """Set `setup_result` if the service has not reported its configuration in time."""
        if (by := self._defined_by) is not None and now >= by:
            self._setup.begin_as_defined()

    def configured(self, now: float) -> list[Command]:
        return self._enter(Phase.READY, "session.updated", now)

    def closed(self, reason: str, now: float) -> list[Command]:
        return self._enter(Phase.CLOSED, reason, now)

    def _enter(self, phase: Phase, reason: str, now: float) -> list[Command]:
        """Enter a phase. The phase changes nowhere else."""
        old, self._phase, self._since = self._phase, phase, now
        return [PhaseChanged(old, phase, reason)] if phase is not old else []

    # -- liveness
    def answers_probe(self, event: ServerEvent, now: float) -> bool:
        """Record that the session is alive. Return True if the event only answers a probe."""
        return self._keepalive.is_own(event, now)

    def probe(self, now: float) -> Command:
        return self._keepalive.probe(now)

    def next_at(self, due_since: float | None) -> float | None:
        """Return when `tick` is due. `due_since`: when the response was requested that the session has not finished,
        None if none is due.
        """
        if self._phase is Phase.OPENING:
            return min(self._since + OPENING_S, self._defined_by or math.inf)
        return self._keepalive.next_at(due_since) if self.ready and due_since is not None else None

    def tick(self, due_since: float | None, now: float) -> list[Command]:
        """Probe a silent session; abandon one that does not answer or does not open in time."""
        if self._phase is Phase.OPENING and now >= self._since + OPENING_S:
            return [Abandon("the voice session was not configured in time")]
        return self._keepalive.check(due_since, now) if self.ready and due_since is not None else []
