"""The relay's part in a transfer: the caller waits with the hold tone, the person who answers is screened, both talk
without the agent, and the caller returns to the agent (ADR 44).

The agent rests from the wait until the return: it hears nobody, owes the caller nothing, and responses that the service
begins by itself are canceled before they are heard. Announcements and the goodbye are still spoken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent_relay.core.dialog.audience import TO_CALLER, TO_NOBODY, Audience, CallParties
from agent_relay.core.dialog.conversation_commands import Command, RequestAction, WallClock
from agent_relay.core.dialog.debt import DebtKind
from agent_relay.core.dialog.history import TRANSFER, History
from agent_relay.core.dialog.hold_policy import HoldPolicy
from agent_relay.core.dialog.instruction_detail import Detail, detail_of, text_in
from agent_relay.core.dialog.keypad import KeyReceiver
from agent_relay.core.dialog.manners import connecting_id
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.screening_talk import ScreeningTalk
from agent_relay.core.dialog.transfer_course import Step, TransferCourse, TransferState
from agent_relay.core.dialog.transfer_texts import people_text
from agent_relay.core.dialog.turns import Turns
from agent_relay.core.dialog.unasked_responses import UnaskedResponses
from agent_relay.core.protocol import voice_events as vl
from agent_relay.core.protocol.transfer_profile import TransferProfile
from bridge_common.wire.action_kinds import CALLER, RETURN_TO_AGENT
from bridge_common.wire.action_kinds import TRANSFER as ACTION
from bridge_common.wire.entries import Dtmf, Instruct, Listen, Say
from bridge_common.wire.instructions import Instruction

RETURN_AGAIN_S: Final = 5.0
"""Presses of the return key within this time are one: ACS may report a key on the media socket and by a callback."""
_AT_ONCE: Final = float("-inf")


class TransferTalk:
    """The transfers of one call. `say` speaks a text as an announcement. `pending`: a transfer that the previous relay
    has not finished. `alone`: whether no other relay speaks in the call; otherwise `left_alone` follows, and nothing
    may be appended to the downlink before.
    """

    def __init__(
        self,
        profile: TransferProfile,
        parties: CallParties,
        turns: Turns,
        prompts: Prompts,
        keypad: KeyReceiver,
        hold: HoldPolicy,
        history: History,
        clock: WallClock,
        say: Callable[[Say, float], list[Command]],
        pending: TransferState | None = None,
        *,
        alone: bool,
    ) -> None:
        self.course = TransferCourse(pending)
        self._audience = Audience(parties, hears_all=profile.hears == "all", unknown=pending is not None)
        self._profile = profile
        self._caller_name = parties.caller_name
        self._turns = turns
        self._unasked = UnaskedResponses(turns)
        self._prompts = prompts
        self._keypad = keypad
        self._hold = hold
        self._history = history
        self._clock = clock
        self._say = say
        self._pending = pending
        self._alone = alone
        self._taken_up = alone
        self._screening: ScreeningTalk | None = None
        self._tones_refused = ""
        """The transfer whose person's keys ACS does not report."""
        self._return_asked_at: float | None = None

    # -- state
    @property
    def rests(self) -> bool:
        """Whether the agent has nothing to do, because the caller waits for a person or talks with one."""
        return self.course.rests

    @property
    def target(self) -> str:
        """Name of the target of the latest transfer, "" if unknown."""
        return "" if self.course.current is None else self.course.current.target

    @property
    def withholds_audio(self) -> bool:
        """Whether the agent must not hear the call."""
        return self.rests and not (self._screening is not None and self._screening.screening.listens)

    def left_alone(self, now: float) -> None:
        """Handle that no other relay speaks in the call: `advance` continues the step of the previous one."""
        self._alone = True
        if not self._taken_up:
            self._set_tone(now)

    def _set_tone(self, now: float) -> None:
        self._hold.transfers(self.course.step is Step.WAITING if self.rests else None, now)

    # -- the steps
    def connecting(self, action_id: str, target: str, topic: str, now: float) -> list[Command]:
        """Handle that the words before the transfer begin."""
        if not self.course.is_new(action_id, Step.CONNECTING):
            return []
        return self._enter(TransferState(action_id, Step.CONNECTING, target, topic), now)

    def instruct(self, entry: Instruct, now: float) -> list[Command]:
        """Handle an instruction. Duplicates, and steps before the current one, have no effect."""
        detail, action_id = detail_of(entry.detail), entry.instruction_id
        if entry.what == Instruction.PEOPLE:
            return self._gathered(detail)
        if entry.what == Instruction.TONE:
            return self._pressed(text_in(detail, "tone"), text_in(detail, "participant"), now)
        if entry.what == Instruction.TONES_REFUSED:
            self._tones_refused = action_id
            return []
        step = Step(entry.what)
        if not self.course.is_new(action_id, step):
            return []
        known = self.course.of(action_id) or TransferState(action_id, step)
        target, topic = text_in(detail, "name") or known.target, text_in(detail, "topic") or known.topic
        joined, person = detail.get("joined") is True, text_in(detail, "participant") or known.person
        reason = text_in(detail, "reason")
        return self._enter(TransferState(action_id, step, target, topic, reason, joined, person), now)

    def failed(self, outcome: Instruct) -> bool:
        """Return whether this is the outcome of a transfer that call-control refuses before it begins: the agent then
        continues.
        """
        detail, known = detail_of(outcome.detail), self.course.of(outcome.instruction_id)
        refused = (text_in(detail, "action"), text_in(detail, "state")) == (ACTION, "failed")
        return refused and known is not None and known.step is Step.CONNECTING

    def call_ends(self, now: float) -> list[Command]:
        """Handle that the call is hung up: if the agent rests, it speaks only the goodbye."""
        current = self.course.current
        if current is None or not self.rests:
            return []
        commands = self._leave_step(now)
        self.course.enter(TransferState(current.action_id, Step.ENDING, current.target))
        return commands + self._begin_step(now)

    def _enter(self, transfer: TransferState, now: float) -> list[Command]:
        commands = self._leave_step(now)
        if transfer.step is not Step.CONNECTING:
            commands += self._turns.announcements.withdraw(connecting_id(transfer.action_id), now)
        if transfer.step.rests and not self.rests:
            commands += self._turns.agent_rests(now) + self._keypad.reset(now)
        self.course.enter(transfer)
        commands.append(self._clock.notice(TRANSFER, transfer.notice(), now))
        return commands + self._begin_step(now)

    def _leave_step(self, now: float) -> list[Command]:
        screening, self._screening = self._screening, None
        return [] if screening is None else screening.stop(now)

    def _begin_step(self, now: float) -> list[Command]:
        """Begin the current step, once no other relay speaks in the call."""
        transfer, commands = self.course.current, list[Command]()
        if transfer is None or not self._alone:
            return commands
        self._taken_up = True
        self._set_tone(now)
        if transfer.step is Step.SCREENING:
            self._audience.joined()
            announcements = self._turns.announcements
            self._screening = ScreeningTalk(
                transfer, self._profile, self._caller_name, announcements, self._clock, self._say, now
            )
        elif transfer.step is Step.RETURNED:
            commands = self._returned(transfer, now)
        self._return_asked_at = None
        return commands + self._audience.select(self._audible)

    @property
    def _audible(self) -> Listen:
        """Whose audio the gateway sends in the current step."""
        if self.course.step is Step.BRIDGED:
            return TO_NOBODY
        if self._screening is not None:
            return self._screening.audience
        return TO_CALLER if self.rests else self._audience.usual

    def _returned(self, transfer: TransferState, now: float) -> list[Command]:
        if transfer.text:
            self._history.caller(f"{TRANSFER} {transfer.action_id}", transfer.text)
            self._prompts.owed.owe(DebtKind.RETURN, now)
        return self._inform(transfer.text) if transfer.text else []

    # -- people and keys
    def _gathered(self, detail: Detail) -> list[Command]:
        given = detail.get("names")
        names = [name for name in given if isinstance(name, str)] if isinstance(given, list) else []
        if not self._audience.gathered(names):
            return []
        return self._inform(people_text(names)) + (self._audience.select(self._audible) if self._taken_up else [])

    def pressed(self, entry: Dtmf, now: float) -> list[Command] | None:
        """Handle a key. Return None if it is for the agent."""
        if self.rests:
            return self._pressed(entry.tone, entry.participant, now)
        # The agent and its tools get only the caller's keys.
        return [] if self._audience.several and not self._audience.may_be_caller(entry.participant) else None

    def _pressed(self, tone: str, participant: str, now: float) -> list[Command]:
        """Handle a key of a person. `participant`: raw id, "" if unknown."""
        if self._screening is not None and self._is_of_person(participant):
            self._screening.screening.key(tone)
        by_caller = self._audience.may_be_caller(participant)
        if self.course.step is not Step.BRIDGED or tone != self._profile.return_key or not by_caller:
            return []
        if self._return_asked_at is not None and now < self._return_asked_at + RETURN_AGAIN_S:
            return []
        self._return_asked_at = now
        return [RequestAction(f"return-{self._clock.unix_ms(now)}", RETURN_TO_AGENT, "{}", CALLER)]

    def _is_of_person(self, participant: str) -> bool:
        """Whether a key is that of the person who is screened: a caller who presses it would pass the call to a
        voicemail.
        """
        current = self.course.current
        if current is None:
            return False
        if not participant:
            return current.action_id == self._tones_refused
        if current.person:
            return participant.casefold() == current.person.casefold()
        return not self._audience.may_be_caller(participant)

    # -- the voice session and the media socket
    def filtered(self, event: vl.ServerEvent, now: float) -> list[Command] | None:
        """Handle an event while the agent rests. Return None if it is processed as usual, after `canceled`."""
        match event:
            case vl.SpeechStarted() | vl.SpeechStopped() | vl.UserTranscriptFailed():
                return []
            case vl.UserTranscript():
                caller = self._turns.caller
                if caller.knows(event.item_id):
                    return caller.transcript(event, now)  # words of the caller before the wait, which arrive late
                if self._screening is not None and self._screening.screening.listens:
                    self._screening.screening.words(event.text)
                return []  # the words of the people are not recorded
        return None

    def canceled(self, event: vl.ServerEvent) -> list[Command]:
        """Cancel the response that begins with this event, unless one was requested."""
        return self._unasked.canceled(event)

    def agent_heard(self) -> None:
        if self._screening is not None:
            self._screening.screening.sound()

    def media_attached(self) -> list[Command]:
        return self._audience.media_attached() if self._taken_up else []

    # -- time
    def next_at(self) -> float | None:
        if self._alone and not self._taken_up:
            return _AT_ONCE
        return None if self._screening is None else self._screening.next_at()

    def advance(self, now: float, *, still: bool) -> list[Command]:
        """Return the commands that are due. Call it after every event. `still`: nobody speaks, and no speech is due."""
        commands: list[Command] = []
        if self._alone and not self._taken_up:
            commands = self._take_up(now)
        if not self.rests:
            return commands
        commands += self._unasked.cancel_active()
        if self._screening is not None:
            commands += self._screening.advance(now, still=still)
        return commands

    def _take_up(self, now: float) -> list[Command]:
        """Continue the step of the previous relay."""
        self._taken_up = True
        current = self.course.current
        if current is None:
            return self._audience.select(self._audible)
        unseen = current is self._pending and current.step is Step.RETURNED
        noted: list[Command] = [self._clock.notice(TRANSFER, current.notice(), now)] if unseen else []
        return noted + self._begin_step(now)

    # --
    def _inform(self, text: str) -> list[Command]:
        return self._prompts.to_session([vl.create_message("system", text)])
