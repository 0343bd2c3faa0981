"""Fixed phrases around the conversation: the relay asks a silent caller whether they are still there, says goodbye
before a hang-up, announces a transfer and the end of a long call.

The phrases are spoken as announcements, so that they work with every kind of agent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from agent_relay.core.announcements.announcer import Announcer
from agent_relay.core.dialog.action_rate import ActionRate
from agent_relay.core.dialog.closing import Closing, GoodbyeStep
from agent_relay.core.dialog.conversation_commands import Command, ReportGoodbye, RequestAction, WallClock
from agent_relay.core.dialog.instruction_detail import Detail, detail_of, text_in
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.session_profile import MannersProfile
from agent_relay.core.dialog.silence_policy import SilencePolicy, SilenceStep
from agent_relay.core.dialog.time_left import TimeLeft
from agent_relay.core.protocol.voice_events import create_message
from bridge_common.wire.action_kinds import (
    AGENT,
    AGENTS,
    CALLER,
    HANG_UP,
    HOLD,
    OPERATOR,
    RESUME,
    SILENCE_POLICY,
    TRANSFER,
)
from bridge_common.wire.entries import Instruct, Say
from bridge_common.wire.instructions import Instruction

AGAIN_S: Final = 3.0
"""A hang-up or a transfer is requested again this long after its request and after its words, because Redis may have
lost it.
"""
_TIMES: Final = 3


@dataclass(frozen=True, slots=True)
class PendingGoodbye:
    """A hang-up, or a transfer whose words the caller has not heard, that the previous relay of the call has not
    finished.
    """

    action_id: str
    interruptible: bool
    said: bool
    """Whether the agent has spoken since the action was requested."""
    action: str = HANG_UP
    arguments: str = "{}"


class Manners:
    """The fixed phrases of one call. `say` speaks one as an announcement. `on_hold`: the caller is on hold, and
    therefore silent.
    """

    def __init__(
        self,
        profile: MannersProfile,
        say: Callable[[Say, float], list[Command]],
        clock: WallClock,
        prompts: Prompts,
        announcements: Announcer,
        pending: PendingGoodbye | None = None,
        *,
        on_hold: bool = False,
    ) -> None:
        self._profile = profile
        self._speak = say
        self._clock = clock
        self._prompts = prompts
        self._announcements = announcements
        self._said = ""
        """Id of the latest text before an action."""
        self._silence = SilencePolicy(profile.silence)
        self._time_left = TimeLeft(profile.time_left, say, announcements.queue)
        self._closing = Closing()
        self._rate = ActionRate()
        self._pending = pending
        self._instructions: set[tuple[str, str]] = set()
        self._request: RequestAction | None = None
        """The latest hang-up or transfer, as call-control knows it unless Redis has lost it."""
        self._interruptible = False
        self._again_at: float | None = None
        self._times_left = 0
        self._caller_on_hold = on_hold

    @property
    def closing(self) -> bool:
        return self._closing.active

    @property
    def hang_up_is_final(self) -> bool:
        """Whether the caller cannot keep the call by interrupting the goodbye."""
        return self._closing.final

    @property
    def connecting(self) -> RequestAction | None:
        """The transfer whose announcement is being spoken, or has just been spoken."""
        request = self._request
        begun = request is not None and request.action == TRANSFER
        return request if begun and (self._closing.active or self._again_at is not None) else None

    @property
    def goodbye_provided(self) -> bool:
        """Whether the agent has nothing more to say: the goodbye has begun, or is that of the profile."""
        return self._closing.provided

    def next_at(self) -> float | None:
        times = (self._silence.next_at(), self._closing.next_at(), self._again_at)
        return min((at for at in times if at is not None), default=None)

    def action_fault(self, action: str, now: float) -> str:
        """Count an action of the agent and return "", or return why it is not allowed now."""
        return self._rate.fault_of(action, now)

    # -- events
    def sign_of_life(self) -> None:
        """Restart the silence policy, because the caller has spoken or gets an answer."""
        self._silence.sign_of_life()

    def key_pressed(self) -> None:
        self._silence.sign_of_life()
        self._closing.key_pressed()

    def agent_heard(self, response_id: str) -> None:
        """Handle that the caller begins to hear a response."""
        self._closing.sound(response_id)

    def begin_goodbye(self, request: RequestAction, now: float, *, said: bool, earlier: Collection[str] = ()) -> bool:
        """Wait for the words before the hang-up or the transfer that the agent has requested. `said`: its current
        response has audio. `earlier`: other responses with audio that was not played yet. Return False if the action
        is known already.
        """
        return self._begin(request, now, said=said, expected=True, earlier=earlier)

    def _begin(
        self,
        request: RequestAction,
        now: float,
        *,
        said: bool,
        expected: bool,
        interruptible: bool | None = None,
        earlier: Collection[str] = (),
    ) -> bool:
        if interruptible is None:
            interruptible = request.by in AGENTS
        if request.action == HANG_UP and self._closing.active and self.connecting is not None:
            self._closing.drop()  # the call ends instead
        if not self._closing.begin(
            request.action_id, now, interruptible=interruptible, said=said, expected=expected, earlier=earlier
        ):
            return False
        self._request, self._interruptible = request, interruptible
        self._repeat_from(now)
        return True

    def _repeat_from(self, now: float) -> None:
        self._again_at, self._times_left = now + AGAIN_S, _TIMES

    def agent_left(self, now: float) -> list[Command]:
        """Request the hang-up after the caller has heard the agent, which has ended the call on its side."""
        action_id = f"close-{self._clock.unix_ms(now)}"
        request = RequestAction(action_id, HANG_UP, '{"reason":"closed_by_agent"}', AGENT)
        return [request] if self._begin(request, now, said=True, expected=False, interruptible=False) else []

    def instruct(self, entry: Instruct, now: float, *, speaks: bool) -> list[Command]:
        """Handle an instruction of call-control; duplicates are ignored. `speaks`: the agent is speaking."""
        key = (entry.instruction_id, entry.what)
        if key in self._instructions:
            return []
        self._instructions.add(key)
        detail = detail_of(entry.detail)
        match entry.what:
            case Instruction.GOODBYE | Instruction.CONNECTING:
                if (over := self._closing.outcome_of(entry.instruction_id)) is not None:
                    # call-control learned of the action only after the end of its words, which it ignored.
                    return [ReportGoodbye(entry.instruction_id, over.value)]
                of_agent = detail.get("interruptible") is True
                # An agent that requested the action was instructed to announce it; else the profile's text follows.
                ends = entry.what == Instruction.GOODBYE
                request = _request(entry.instruction_id, HANG_UP if ends else TRANSFER, of_agent=of_agent)
                self._begin(request, now, said=speaks and of_agent, expected=of_agent)
                return []
            case Instruction.TIME_LEFT:
                return self._time_left.announce(entry.instruction_id, detail, now)
            case Instruction.OUTCOME:
                if detail.get("action") == HOLD and detail.get("state") == "failed":
                    self._caller_on_hold = False
                return self._inform(_outcome_text(detail))
        return []

    def held(self, request: RequestAction) -> None:
        """Handle a request to begin or end the hold of a participant. A caller on hold is silent."""
        of_caller = (text_in(detail_of(request.arguments), "participant") or CALLER) == CALLER
        if of_caller and request.action in (HOLD, RESUME):
            self._caller_on_hold = request.action == HOLD

    def people_changed(self, detail: Detail) -> None:
        """Handle a report of the people in the call: an operator may have put the caller on hold."""
        self._caller_on_hold = detail.get("caller_on_hold", self._caller_on_hold) is True

    def moved_on(self, action_id: str) -> None:
        """Handle that call-control continues a transfer, even if its announcement was not heard."""
        if self._request is None or self._request.action_id != action_id:
            return
        if self._closing.active:
            self._closing.drop()
        self._request = self._again_at = None

    # -- time
    def advance(self, now: float, *, quiet: bool, still: bool, caller_speaks: bool) -> list[Command]:
        """Return the commands that are due. Call it after every event. `quiet`: nobody speaks or is about to speak, and
        the agent could be heard. `still`: the same, except that a function may be running, or its result may be due.
        """
        if self._pending is not None and quiet:
            pending, self._pending = self._pending, None
            request = _request(pending.action_id, pending.action, pending.arguments, of_agent=pending.interruptible)
            self._begin(request, now, said=pending.said, expected=False)
        commands = self._again(now, caller_speaks=caller_speaks)
        dropped = not self._announcements.queue.of(self._said)
        step = self._closing.advance(now, quiet=still, caller_speaks=caller_speaks, dropped=dropped)
        if step is not None:
            what, action_id = step
            if what in (GoodbyeStep.ASK, GoodbyeStep.INTERRUPT):
                interrupts = what is GoodbyeStep.INTERRUPT
                say_id, text = f"goodbye-{action_id}", self._profile.goodbye
                if self.connecting is not None:
                    say_id, text = connecting_id(action_id), self._profile.connecting
                self._said = say_id
                return commands + self._say(say_id, text, now, interrupts=interrupts)
            commands.append(ReportGoodbye(action_id, what.value))
            if what is GoodbyeStep.INTERRUPTED:
                self._request = self._again_at = None
            else:
                self._repeat_from(now)
        if self._closing.active:
            return commands
        commands += self._time_left.advance(now, quiet=quiet)
        match self._silence.advance(now, quiet=quiet and not self._caller_on_hold):
            case SilenceStep.REPROMPT:
                commands += self._say(f"reprompt-{self._clock.unix_ms(now)}", self._profile.reprompt, now)
            case SilenceStep.GOODBYE:
                action_id = f"silence-{self._clock.unix_ms(now)}"
                request = RequestAction(action_id, HANG_UP, '{"reason":"silence"}', SILENCE_POLICY)
                self._begin(request, now, said=False, expected=False)
                commands.append(request)
                commands += self.advance(now, quiet=quiet, still=still, caller_speaks=caller_speaks)
        return commands

    def _again(self, now: float, *, caller_speaks: bool) -> list[Command]:
        """Request the action again while the call continues. call-control ignores duplicates."""
        request = self._request
        if request is None or self._again_at is None or now < self._again_at:
            return []
        self._times_left -= 1
        self._again_at = now + AGAIN_S if self._times_left else None
        outcome = self._closing.outcome_of(request.action_id)
        if caller_speaks and self._interruptible:
            self._request = self._again_at = None
            return []
        again = [request] if request.arguments else []
        return [*again, *([] if outcome is None else [ReportGoodbye(request.action_id, outcome.value)])]

    def _inform(self, text: str) -> list[Command]:
        return self._prompts.to_session([create_message("system", text)])

    def _say(self, say_id: str, text: str, now: float, *, interrupts: bool = False) -> list[Command]:
        return self._speak(Say(say_id, 0, text, last=True, interrupt=interrupts), now)


def _request(action_id: str, action: str, arguments: str = "", *, of_agent: bool) -> RequestAction:
    """Return the request as call-control knows it. The arguments of a transfer that is known by an instruction only are
    "": it cannot be requested again.
    """
    known = arguments or ("{}" if action == HANG_UP else "")
    return RequestAction(action_id, action, known, AGENT if of_agent else OPERATOR)


def connecting_id(action_id: str) -> str:
    """Return the id of the announcement before a transfer."""
    return f"connecting-{action_id}"


def _outcome_text(detail: Detail) -> str:
    """Return the message to the agent about the outcome of an action."""
    action, state, reason = (str(detail.get(name, "")) for name in ("action", "state", "reason"))
    if action == HANG_UP and state == "canceled":
        return "The call was not ended, because the caller is still talking. Go on with the conversation."
    if action == TRANSFER and state == "canceled":
        return "The caller was not connected, because they are still talking. Go on with the conversation."
    target = text_in(detail, "target")
    return f"Result of {action}{target and f' to {target}'}: {json.dumps({'state': state, 'reason': reason})}"
