"""The words before an action, tracked until they were heard: the goodbye before a hang-up (ADR 37), the announcement of
a transfer and the introduction to a person (ADR 44).

The words are part of the response in which the agent requested the action, or of its next response. If neither has
audio, the text of the profile is spoken as an announcement.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class GoodbyeStep(StrEnum):
    ASK = "ask"
    """Speak the profile's goodbye."""
    INTERRUPT = "interrupt"
    """Interrupt the agent with the profile's goodbye."""
    HEARD = "heard"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ClosingLimits:
    start_s: float = 4.0
    """Longest time from the hang-up request, or from the request of the profile's goodbye, to the first audio."""
    agent_s: float = 4.0
    """Longest time that the agent's speech may delay the profile's goodbye. call-control hangs up after 12 s."""
    after_s: float = 0.25
    """Time from the end of playout to the hang-up: the end of the goodbye is still on its way to the phone."""


@dataclass(slots=True)
class _Goodbye:
    action_id: str
    interruptible: bool
    said: bool
    expected: bool
    start_by: float
    earlier: Collection[str] = ()
    asked: bool = False
    interrupted: bool = False
    quiet_since: float | None = None


class Closing:
    def __init__(self, limits: ClosingLimits | None = None) -> None:
        self._limits = limits or ClosingLimits()
        self._goodbye: _Goodbye | None = None
        self._finished: dict[str, GoodbyeStep] = {}

    @property
    def active(self) -> bool:
        return self._goodbye is not None

    def begin(
        self,
        action_id: str,
        now: float,
        *,
        interruptible: bool,
        said: bool,
        expected: bool,
        earlier: Collection[str] = (),
    ) -> bool:
        """Wait for the goodbye before a hang-up. Return False if a goodbye is already pending or this hang-up has
        already been handled.

        `said`: the agent's current response has audio, which counts as the goodbye. `expected`: the agent was
        instructed to say goodbye. `earlier`: responses whose audio was not played yet, and that are not the goodbye.
        """
        if self._goodbye is not None or action_id in self._finished:
            return False
        start_by = now + self._limits.start_s if expected and not said else now
        self._goodbye = _Goodbye(action_id, interruptible, said, expected, start_by, earlier)
        return True

    def drop(self) -> None:
        """Stop waiting for the words; no outcome is reported."""
        self._goodbye = None

    def outcome_of(self, action_id: str) -> GoodbyeStep | None:
        """Return how the goodbye of this hang-up ended; None if it has not ended."""
        return self._finished.get(action_id)

    def sound(self, response_id: str = "") -> None:
        """Handle that the caller begins to hear the agent, which counts as the goodbye if one was requested."""
        goodbye = self._goodbye
        if goodbye is not None and (goodbye.expected or goodbye.asked) and response_id not in goodbye.earlier:
            goodbye.said = True

    def key_pressed(self) -> None:
        """Handle a key of the caller, which interrupts like speech."""
        if (goodbye := self._goodbye) is not None:
            goodbye.interrupted = goodbye.interruptible

    @property
    def final(self) -> bool:
        """Whether the call ends whatever the caller does."""
        return self._goodbye is not None and not self._goodbye.interruptible

    @property
    def provided(self) -> bool:
        """Whether the goodbye needs no further response of the agent."""
        goodbye = self._goodbye
        return goodbye is not None and (goodbye.said or goodbye.asked or not goodbye.expected)

    def next_at(self) -> float | None:
        goodbye = self._goodbye
        if goodbye is None or (goodbye.said and goodbye.quiet_since is None):
            return None
        if goodbye.quiet_since is not None:
            return goodbye.quiet_since + self._limits.after_s
        return goodbye.start_by if goodbye.asked or goodbye.expected else goodbye.start_by + self._limits.agent_s

    def advance(
        self, now: float, *, quiet: bool, caller_speaks: bool = False, dropped: bool = False
    ) -> tuple[GoodbyeStep, str] | None:
        """Return the next step and the id of its action, each step once; None if no step is due. `quiet`: the caller
        has heard everything that the agent said, and nothing follows. `dropped`: the text of the profile will not be
        spoken, because the service has refused it.
        """
        goodbye = self._goodbye
        if goodbye is None:
            return None
        if goodbye.interruptible and (caller_speaks or goodbye.interrupted):
            return self._finish(GoodbyeStep.INTERRUPTED)
        if goodbye.said:
            if not quiet:
                goodbye.quiet_since = None
                return None
            if goodbye.quiet_since is None:
                goodbye.quiet_since = now
            return self._finish(GoodbyeStep.HEARD) if now >= goodbye.quiet_since + self._limits.after_s else None
        if goodbye.asked and dropped:
            return self._finish(GoodbyeStep.FAILED)
        if now < goodbye.start_by:
            return None
        if goodbye.asked:
            return self._finish(GoodbyeStep.FAILED)
        late = now >= goodbye.start_by + self._limits.agent_s
        if not (quiet or goodbye.expected or late):
            return None
        goodbye.asked = True
        goodbye.start_by = now + self._limits.start_s
        return (GoodbyeStep.ASK if quiet or goodbye.expected else GoodbyeStep.INTERRUPT), goodbye.action_id

    def _finish(self, step: GoodbyeStep) -> tuple[GoodbyeStep, str]:
        assert self._goodbye is not None
        action_id, self._goodbye = self._goodbye.action_id, None
        self._finished[action_id] = step
        return step, action_id
