"""Fixed phrases around the conversation: the relay asks a silent caller whether they are still there, says goodbye
before a hang-up, and announces the end of a long call.

The phrases are spoken as announcements, so that they work with every kind of agent.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from agent_relay.core.announcements.announcer import Announcer
from agent_relay.core.dialog.action_rate import ActionRate
from agent_relay.core.dialog.closing import Closing, GoodbyeStep
from agent_relay.core.dialog.conversation_commands import Command, ReportGoodbye, RequestAction, WallClock
from agent_relay.core.dialog.session_profile import MannersProfile
from agent_relay.core.dialog.silence_policy import SilencePolicy, SilenceStep
from bridge_common.wire.action_kinds import AGENT, HANG_UP, SILENCE_POLICY
from bridge_common.wire.entries import Instruct, Say

_NO_ENTRY: Final = "0-1"
"""Entry id of texts that are not in the announcement stream. It precedes all real entry ids, so that no entry is
deleted.
"""


@dataclass(frozen=True, slots=True)
class PendingHangUp:
    """A hang-up that the previous relay of the call has not finished."""

    action_id: str
    interruptible: bool
    said: bool
    """Whether the agent has spoken since the hang-up was requested."""


class Manners:
    """Speaks the fixed phrases of one call. `inform`: returns the commands that send a message to the agent without
    requesting a response.
    """

    def __init__(
        self,
        profile: MannersProfile,
        announcements: Announcer,
        clock: WallClock,
        inform: Callable[[str], list[Command]],
        pending: PendingHangUp | None = None,
    ) -> None:
        self._profile = profile
        self._announcements = announcements
        self._clock = clock
        self._inform = inform
        self._silence = SilencePolicy(profile.silence)
        self._closing = Closing()
        self._rate = ActionRate()
        self._pending = pending
        self._instructions: set[tuple[str, str]] = set()

    @property
    def closing(self) -> bool:
        return self._closing.active

    @property
    def goodbye_said(self) -> bool:
        """The goodbye has begun, and the call ends when it was heard."""
        return self._closing.said

    def next_at(self) -> float | None:
        times = (self._silence.next_at(), self._closing.next_at())
        return min((at for at in times if at is not None), default=None)

    def action_fault(self, action: str, now: float) -> str:
        """Count an action of the agent and return "", or return why it is not allowed now."""
        return self._rate.fault_of(action, now)

    # -- events
    def sign_of_life(self) -> None:
        """Restart the silence policy, because the caller has spoken or pressed a key."""
        self._silence.sign_of_life()

    def agent_heard(self) -> None:
        """Handle that the caller begins to hear the agent."""
        self._closing.sound()

    def begin_goodbye(self, action_id: str, now: float, *, said: bool) -> bool:
        """Wait for the goodbye, because the agent has requested a hang-up. `said`: its current response has audio.
        Return False if the hang-up is known already.
        """
        return self._closing.begin(action_id, now, interruptible=True, said=said, expected=True)

    def agent_left(self, now: float) -> list[Command]:
        """Request the hang-up after the caller has heard the agent, which has ended the call on its side."""
        action_id = f"close-{self._clock.unix_ms(now)}"
        if not self._closing.begin(action_id, now, interruptible=False, said=True, expected=False):
            return []
        return [RequestAction(action_id, HANG_UP, '{"reason":"closed_by_agent"}', AGENT)]

    def instruct(self, entry: Instruct, now: float, *, speaks: bool) -> list[Command]:
        """Handle an instruction of call-control; duplicates are ignored. `speaks`: the agent is speaking."""
        key = (entry.instruction_id, entry.what)
        if key in self._instructions:
            return []
        self._instructions.add(key)
        detail = _detail(entry.detail)
        match entry.what:
            case "goodbye":
                of_agent = detail.get("interruptible") is True
                # An agent that requested the hang-up was instructed to say goodbye; else the profile's goodbye follows.
                self._closing.begin(
                    entry.instruction_id, now, interruptible=of_agent, said=speaks and of_agent, expected=of_agent
                )
                return []
            case "time_left":
                return self._say(f"time_left-{entry.instruction_id}", self._profile.time_left, now)
            case "outcome":
                return self._inform(_outcome_text(detail))
        return []

    # -- time
    def advance(self, now: float, *, quiet: bool, still: bool, caller_speaks: bool) -> list[Command]:
        """Return the commands that are due. Call it after every event. `quiet`: nobody speaks or is about to speak, and
        the agent could be heard. `still`: the same, except that a function may be running, or its result may be due.
        """
        if self._pending is not None and quiet:
            pending, self._pending = self._pending, None
            self._closing.begin(
                pending.action_id, now, interruptible=pending.interruptible, said=pending.said, expected=False
            )
        commands: list[Command] = []
        step = self._closing.advance(now, quiet=still, caller_speaks=caller_speaks)
        if step is not None:
            what, action_id = step
            if what is GoodbyeStep.ASK:
                return self._say(f"goodbye-{action_id}", self._profile.goodbye, now)
            commands.append(ReportGoodbye(action_id, what.value))
        if self._closing.active:
            return commands
        match self._silence.advance(now, quiet=quiet):
            case SilenceStep.REPROMPT:
                commands += self._say(f"reprompt-{self._clock.unix_ms(now)}", self._profile.reprompt, now)
            case SilenceStep.GOODBYE:
                action_id = f"silence-{self._clock.unix_ms(now)}"
                self._closing.begin(action_id, now, interruptible=True, said=False, expected=False)
                commands.append(RequestAction(action_id, HANG_UP, '{"reason":"silence"}', SILENCE_POLICY))
                commands += self.advance(now, quiet=quiet, still=still, caller_speaks=caller_speaks)
        return commands

    def _say(self, say_id: str, text: str, now: float) -> list[Command]:
        return self._announcements.piece(_NO_ENTRY, Say(say_id, 0, text, last=True), now)


def _detail(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text or "{}")
    except msgspec.MsgspecError:
        return {}
    return found if isinstance(found, dict) else {}


def _outcome_text(detail: dict[str, Any]) -> str:
    """Return the message to the agent about the outcome of an action."""
    action, state, reason = (str(detail.get(name, "")) for name in ("action", "state", "reason"))
    if action == HANG_UP and state == "canceled":
        return "The call was not ended, because the caller is still talking. Go on with the conversation."
    return f"Result of {action}: {json.dumps({'state': state, 'reason': reason})}"
