"""Guards and actions of the call machine's table for actions on participants: add, remove, hold, resume, mute."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from bridge_common.wire.action_kinds import REMOVE_PARTICIPANT
from bridge_common.wire.call_record import CallAction, CallRecord, TransferStage
from bridge_common.wire.entries import Act
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.action_book import (
    action_of,
    argument_of,
    finish,
    of_done,
    of_failed,
    of_operation,
    with_action,
)
from call_control.core.machine.call_commands import SetTimer
from call_control.core.machine.call_events import CallEvent, CommandFailed, RosterEntry
from call_control.core.machine.call_people import RINGING, caller_in, entry_of, is_caller, person_named, target_of
from call_control.core.machine.participant_changes import (
    ACCEPTED,
    COMMANDS,
    EFFECTS,
    complete_overtaken,
    open_changes,
    raw_id_of,
    request,
)
from call_control.core.machine.people_faults import people_fault
from call_control.core.machine.requested_actions import valid
from call_control.core.machine.transfer_stages import (
    REQUESTED,
    end_bridge,
    fail_transfer,
    invite,
    person_gone,
    unreached,
)
from call_control.core.machine.transition import CallPolicy, Transition
from call_control.core.machine.unreached import refusal

UNANSWERED: Final = "unavailable"
"""Code of a command without a response: ACS may have executed it."""
OUTCOME_UNKNOWN: Final = "outcome unknown: ACS did not report it"


# -- guards -----------------------------------------------------------------------------------------------------------
def possible(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True for a request with valid arguments that is possible now."""
    return isinstance(event, Act) and valid(record, event, policy) and not people_fault(record, event, policy)


def outcome_awaited(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the callback reports the outcome of an open action on a participant."""
    action = of_operation(record, event)
    return action is not None and action.kind in EFFECTS


def refused(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if ACS has refused the command of an open action."""
    return of_failed(record, event, *COMMANDS) is not None and not unanswered(record, event, policy)


def unanswered(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the command got no response: ACS may have executed it, so its effect is awaited."""
    return isinstance(event, CommandFailed) and event.code == UNANSWERED


# -- requests ---------------------------------------------------------------------------------------------------------
def add(transition: Transition, event: CallEvent) -> None:
    """Invite the person."""
    if isinstance(event, Act):
        action = action_of(event, transition.now_ms)
        target = target_of(action, transition.policy)
        if target is not None:
            invite(transition, action, target)


def change(transition: Transition, event: CallEvent) -> None:
    """Request the change of a participant. The list of participants or a callback reports the outcome."""
    if not isinstance(event, Act):
        return
    action, effect = action_of(event, transition.now_ms), EFFECTS[event.action]
    person = person_named(transition.record, argument_of(action, "participant"))
    if person is not None and person.state == RINGING:
        unreached(transition, person, effect.outcome, "canceled")
        finish(transition, action, "done", effect.outcome)
        return
    request(transition, action)


def return_to_agent(transition: Transition, event: CallEvent) -> None:
    """End the conversation of caller and person, or cancel the transfer."""
    if not isinstance(event, Act):
        return
    if transition.record.transfer_stage is TransferStage.BRIDGED:
        end_bridge(transition, REQUESTED)
    else:
        fail_transfer(transition, REQUESTED, "canceled")
    finish(transition, action_of(event, transition.now_ms), "done", REQUESTED)


# -- outcomes ---------------------------------------------------------------------------------------------------------
def removed(transition: Transition, event: CallEvent) -> None:
    action = of_operation(transition.record, event)
    if action is not None:
        complete(transition, action)


def note_accepted(transition: Transition, event: CallEvent) -> None:
    """Note that ACS has accepted the command. Its effect is still to be seen, unless a later action overtook it."""
    action = of_done(transition.record, event, *COMMANDS)
    if action is not None:
        transition.record = with_action(transition.record, replace(action, reason=ACCEPTED))
        complete_overtaken(transition)


def failed(transition: Transition, event: CallEvent) -> None:
    """Complete an action that ACS has refused, or whose failure a callback reports."""
    action = of_operation(transition.record, event) or of_failed(transition.record, event, *COMMANDS)
    if action is not None and isinstance(event, AcsEvent):
        finish(transition, action, "failed", refusal(f"{event.code}/{event.sub_code}"))
    elif action is not None and isinstance(event, CommandFailed):
        finish(transition, action, "failed", refusal(event.code))


def give_up(transition: Transition, event: CallEvent) -> None:
    """Complete the actions whose outcome is overdue."""
    limit_ms, now_ms = transition.policy.people_ms, transition.now_ms
    for action in open_changes(transition.record):
        if action.at_ms + limit_ms <= now_ms:
            finish(transition, action, "failed", OUTCOME_UNKNOWN)
    if left := [action.at_ms for action in open_changes(transition.record)]:
        transition.arm(SetTimer.PEOPLE, min(left) + limit_ms - now_ms)


def complete(transition: Transition, action: CallAction) -> None:
    """Complete an action whose effect is known."""
    effect = EFFECTS[action.kind]
    finish(transition, action, "done", effect.outcome)
    person = person_named(transition.record, argument_of(action, "participant"))
    if action.kind == REMOVE_PARTICIPANT and person is not None:
        person_gone(transition, person, effect.outcome)


def complete_seen(transition: Transition, roster: tuple[RosterEntry, ...]) -> None:
    """Complete the actions whose effect the list of participants shows."""
    for action in open_changes(transition.record):
        if is_caller(transition.record, argument_of(action, "participant")):
            entry = caller_in(transition.record, roster)
        else:
            entry = entry_of(roster, raw_id_of(transition.record, action))
        if EFFECTS[action.kind].seen(entry):
            complete(transition, action)
