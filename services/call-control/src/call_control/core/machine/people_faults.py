"""Checks whether a request for a transfer or a participant is possible now. Operators and agents read the texts."""

from __future__ import annotations

from typing import Final

from bridge_common.wire.action_kinds import (
    ADD_PARTICIPANT,
    AGENTS,
    HOLD,
    MUTE,
    REMOVE_PARTICIPANT,
    RESUME,
    RETURN_TO_AGENT,
    TRANSFER,
)
from bridge_common.wire.call_record import CallAction, CallRecord, Status, TransferStage
from bridge_common.wire.entries import Act
from call_control.core.machine.action_book import action_of, argument_of, find_action, target_name
from call_control.core.machine.call_commands import (
    AddParticipant,
    AtOnce,
    HoldParticipant,
    Leave,
    MuteParticipant,
    SetTimer,
    StartDtmf,
    StartMediaStreaming,
    StopMediaStreaming,
    Transfer,
    UnholdParticipant,
)
from call_control.core.machine.call_people import (
    JOINED,
    RINGING,
    is_caller,
    people_in,
    person_named,
    person_of,
    same,
    target_of,
    without_agent,
)
from call_control.core.machine.transition import CallPolicy, armed

PEOPLE_ACTIONS: Final = frozenset(
    {TRANSFER, ADD_PARTICIPANT, REMOVE_PARTICIPANT, HOLD, RESUME, MUTE, RETURN_TO_AGENT},
)

_HOLDABLE: Final = (TransferStage.NONE, TransferStage.BRIDGED)

_MOST_SHOWN: Final = 50
"""Names of targets in a reason."""


def people_fault(record: CallRecord, request: Act, policy: CallPolicy) -> str:
    """Return why the request is not possible now, "" if it is possible. Its arguments are valid."""
    action = action_of(request, 0)
    if action.kind in (TRANSFER, ADD_PARTICIPANT):
        return _call_fault(record, action, policy)
    if action.kind == RETURN_TO_AGENT:
        if not record.transfer or without_agent(record):
            return "no transfer is under way"
        is_blind = record.transfer_stage is TransferStage.TRANSFERRING
        return "a blind transfer cannot be canceled" if is_blind else ""
    name = argument_of(action, "participant")
    if action.kind == REMOVE_PARTICIPANT and is_caller(record, name):
        return "the caller cannot be removed; use hang_up"
    if is_caller(record, name):
        being_connected = action.kind == HOLD and record.transfer_stage not in _HOLDABLE
        return "the caller is being connected; use return_to_agent first, or wait" if being_connected else ""
    person = person_named(record, name)
    if person is None or (person.state != JOINED and action.kind != REMOVE_PARTICIPANT):
        names = ["caller", *(one.name or "another participant" for one in people_in(record, JOINED))]
        return f"{name[:64]!a} is not in the call; its participants are {', '.join(names)}"
    return ""


def people_wanted(record: CallRecord, command: AtOnce) -> bool:
    """Return whether a command for people in the call is still useful: its transfer, invitation or action is open."""
    match command:
        case StopMediaStreaming():
            return record.transfer_stage is TransferStage.BRIDGED and without_agent(record)
        case StartMediaStreaming():
            return False
        case AddParticipant(operation_context=operation, action_id=action_id):
            action, person = find_action(record, action_id), person_of(record, action_id)
            is_newest = action is not None and action.operation == operation
            return is_newest and person is not None and person.state == RINGING
        case HoldParticipant() | UnholdParticipant() | MuteParticipant():
            return any(one.open and one.operation == command.operation_context for one in record.actions)
        case Transfer() | Leave() if record.status is Status.CONNECTED:
            wait = armed(record, SetTimer.TRANSFER)
            return wait is not None and wait.operation == command.operation_context
        case StartDtmf():
            return record.transfer_stage is TransferStage.SCREENING
    return True


def transfer_under_way(record: CallRecord) -> str:
    """Return the words for the transfer under way, "" if there is none."""
    action = find_action(record, record.transfer)
    name = target_name(action) if action is not None else ""
    return (f"a transfer to {name} is under way" if name else "a transfer is under way") if record.transfer else ""


def _remedy(record: CallRecord, action: CallAction) -> str:
    fixed = record.transfer_stage is TransferStage.TRANSFERRING or without_agent(record)
    return "wait for its outcome" if fixed or action.by in AGENTS else "end it with return_to_agent"


def is_repetition(record: CallRecord, action: CallAction) -> bool:
    """Return whether an equal request would repeat the action: it is under way, or its effect lasts. A second transfer
    after the return of the agent is a new one.
    """
    if action.open or record.transfer == action.id:
        return True
    person = person_of(record, action.id)
    return action.kind == ADD_PARTICIPANT and person is not None and person.state == JOINED


def _call_fault(record: CallRecord, action: CallAction, policy: CallPolicy) -> str:
    target = target_of(action, policy)
    if target is None:
        name, known = argument_of(action, "target"), ", ".join([*policy.targets][:_MOST_SHOWN])
        return f"unknown target {name[:64]!a}; " + (f"use {known}" if known else "the routing policy has no targets")
    if record.closing:
        return "the call is being ended"
    if action.kind == TRANSFER and record.transfer:
        return f"{transfer_under_way(record)}; {_remedy(record, action)}"
    person = person_named(record, target.raw_id)
    if person is not None:
        return f"{target.name} is {'already in the call' if person.state == JOINED else 'already being called'}"
    if same(target.raw_id, record.caller) or same(target.raw_id, record.callee):
        return f"{target.name} is a party of this call"
    return ""
