"""Guards and actions of the call machine's table for a transfer under way (`transfer_stages` has its steps)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from bridge_common.wire.action_kinds import AGENTS
from bridge_common.wire.call_record import CallRecord, TransferStage
from bridge_common.wire.entries import GoodbyeOver, ScreeningOver
from bridge_common.wire.instructions import Instruction
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine import media_actions as media
from call_control.core.machine.action_book import find_action, instruct, with_action
from call_control.core.machine.call_actions import can_transfer, transfer_requested, voice_current
from call_control.core.machine.call_commands import Leave, LookUp, SetTimer, Transfer
from call_control.core.machine.call_events import CallEvent, CommandDone, CommandFailed
from call_control.core.machine.call_people import JOINED, people_in, person_of
from call_control.core.machine.participant_actions import unanswered
from call_control.core.machine.requested_actions import not_closing
from call_control.core.machine.transfer_stages import bridge, fail_transfer, words_over
from call_control.core.machine.transition import CallPolicy, Transition, armed
from call_control.core.machine.unreached import UNKNOWN, reason_of, refusal

LEG_ENDED_SUB_CODES: Final = frozenset({7015, 7000, 5002})
"""Sub codes of `CallDisconnected` when our leg was ended by a transfer, or by our leaving."""
UNREPORTED: Final = "ACS did not report the transfer; the call is gone"
AT_ACS: Final = frozenset({"transferring", "transferaccepted"})
"""States of a call that ACS is transferring."""


# -- guards: stages ---------------------------------------------------------------------------------------------------
def words_spoken(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    connecting = record.transfer_stage is TransferStage.CONNECTING
    return connecting and isinstance(event, GoodbyeOver) and event.action_id == record.transfer


def words_interrupted(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the caller speaks while the agent announces the transfer that an agent has requested."""
    action = find_action(record, record.transfer)
    interrupted = isinstance(event, GoodbyeOver) and event.outcome == "interrupted"
    return interrupted and words_spoken(record, event, policy) and action is not None and action.by in AGENTS


def screening(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    current = isinstance(event, ScreeningOver) and event.action_id == record.transfer
    return current and record.transfer_stage is TransferStage.SCREENING


def tone_of_person(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    pressed = isinstance(event, AcsEvent) and event.tone != ""
    return pressed and record.transfer_stage is TransferStage.SCREENING


def tones_refused(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if ACS has refused to report the keys of the person who is screened."""
    return record.transfer_stage is TransferStage.SCREENING and not unanswered(record, event, policy)


# -- guards: the transfer by ACS --------------------------------------------------------------------------------------
def blind(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return record.transfer_stage is TransferStage.TRANSFERRING


def awaited(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if call-control has requested a transfer, or to leave, and the outcome is not known."""
    return armed(record, SetTimer.TRANSFER) is not None


def accepted_among_others(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the caller is transferred out of a call with other people: our leg stays connected to them."""
    return transfer_requested(record, event, policy) and bool(people_in(record, JOINED))


def refused(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if ACS has refused the request whose outcome is awaited."""
    wait = armed(record, SetTimer.TRANSFER)
    if wait is None or not isinstance(event, CommandFailed) or unanswered(record, event, policy):
        return False
    return wait.operation in (f"{Transfer.__name__}-{event.seq}", f"{Leave.__name__}-{event.seq}")


def first_deadline(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    wait = armed(record, SetTimer.TRANSFER)
    return wait is not None and not wait.last


def under_way_at_acs(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return awaited(record, event, policy) and isinstance(event, CommandDone) and event.state.lower() in AT_ACS


def left_as_planned(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if ACS ends our leg because of the transfer; `CallTransferAccepted` may be late or lost."""
    return awaited(record, event, policy) and isinstance(event, AcsEvent) and event.sub_code in LEG_ENDED_SUB_CODES


# -- guards: voice, media and the end of the call ---------------------------------------------------------------------
def voice_not_needed(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return record.transfer != "" and not record.closing and voice_current(record, event, policy)


def voice_was_lost(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the call had a voice session, and there are no human agents to transfer the caller to."""
    return record.voice_epoch > 0 and not can_transfer(record, event, policy)


def socket_taken(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if ACS may have closed the media socket for the transfer."""
    return blind(record, event, policy) and media.media_expected(record, event, policy)


def media_not_needed(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if media is not restarted now: ACS transfers the caller, or the attempts during a transfer have failed."""
    if not record.transfer or blind(record, event, policy):
        return record.transfer != ""
    return not (media.start_under_way(record, event, policy) or media.patience_left(record, event, policy))


def ends_transfer(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True for the first request to end the call while the caller waits for a person."""
    stages = (TransferStage.CONNECTING, TransferStage.DIALING, TransferStage.SCREENING)
    return record.transfer_stage in stages and not_closing(record, event, policy)


# -- actions ----------------------------------------------------------------------------------------------------------
def forward_tone(transition: Transition, event: CallEvent) -> None:
    """Report a key of the person to the relay."""
    person = person_of(transition.record, transition.record.transfer)
    if isinstance(event, AcsEvent) and person is not None:
        detail = {"tone": event.tone, "participant": person.raw_id}
        instruct(transition, f"tone-{event.id}", Instruction.TONE, detail)


def report_refused_tones(transition: Transition, event: CallEvent) -> None:
    """Report to the relay that no key of the person will be reported."""
    instruct(transition, transition.record.transfer, Instruction.TONES_REFUSED, {})


def not_transferred(transition: Transition, event: CallEvent) -> None:
    """Return to the agent, or stay in the call with caller and person."""
    if transition.record.transfer_stage is not TransferStage.TRANSFERRING:
        stay(transition, event)
    elif isinstance(event, AcsEvent):
        fail_transfer(transition, reason_of(event.code, event.sub_code))
    elif isinstance(event, CommandFailed):
        fail_transfer(transition, refusal(event.code))
    else:
        fail_transfer(transition, UNKNOWN)


def stay(transition: Transition, event: CallEvent) -> None:
    transition.disarm(SetTimer.TRANSFER)


def look_up(transition: Transition, event: CallEvent) -> None:
    """Fetch the state of the call: the callbacks about the transfer may be lost."""
    wait = armed(transition.record, SetTimer.TRANSFER)
    transition.issue(LookUp)
    operation = wait.operation if wait is not None else ""
    transition.arm(SetTimer.TRANSFER, transition.policy.people_ms, last=True, operation=operation)


def note_unreported(transition: Transition, event: CallEvent) -> None:
    action = find_action(transition.record, transition.record.transfer)
    if action is not None and action.open:
        transition.record = with_action(transition.record, replace(action, reason=UNREPORTED))


def continue_without_voice(transition: Transition, event: CallEvent) -> None:
    """Continue the transfer without the agent, and so without announcement and screening."""
    transition.record = replace(transition.record, voice_ready=False)
    if transition.record.transfer_stage is TransferStage.CONNECTING:
        words_over(transition, event)
    elif transition.record.transfer_stage is TransferStage.SCREENING:
        bridge(transition)
