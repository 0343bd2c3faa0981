"""The people in the record of a call: their states, and lookups by name, action and callback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bridge_common.wire.action_kinds import ATTENDED, CALLER, TRANSFER
from bridge_common.wire.call_record import CallAction, CallRecord, Participant, TransferStage
from bridge_common.wire.raw_ids import is_application
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.action_book import argument_of, find_action
from call_control.core.machine.call_events import CallEvent, RosterEntry
from call_control.core.machine.transition import CallPolicy
from call_control.core.policy.transfer_targets import TransferTarget

RINGING: Final = "ringing"
JOINED: Final = "joined"
LEFT: Final = "left"
FAILED: Final = "failed"
ROUTING: Final = "routing"
"""Requester of the transfer of a call that is connected to a person without an agent."""


def people_in(record: CallRecord, *states: str) -> list[Participant]:
    return [one for one in record.participants if one.state in states]


def person_named(record: CallRecord, name: str) -> Participant | None:
    """Return the person who rings or is in the call. `name`: of the target, or a raw id."""
    for one in people_in(record, RINGING, JOINED):
        if name.lower() in (one.name.lower(), one.raw_id.lower()):
            return one
    return None


def person_of(record: CallRecord, action_id: str) -> Participant | None:
    """Return the person whom the action has called."""
    return next((one for one in record.participants if action_id and one.action_id == action_id), None)


def person_in_event(record: CallRecord, event: CallEvent) -> Participant | None:
    """Return the person whose invitation the callback is about."""
    if not isinstance(event, AcsEvent):
        return None
    actions = {one.id for one in record.actions if event.operation_context and one.operation == event.operation_context}
    for one in record.participants:
        if one.action_id in actions or (event.invitation_id and one.invitation_id == event.invitation_id):
            return one
    if event.operation_context or event.invitation_id:
        return None
    return next((one for one in record.participants if same(one.raw_id, event.participant)), None)


def with_person(record: CallRecord, person: Participant) -> CallRecord:
    """Add the person, or replace the entry with the same raw id."""
    if not any(same(one.raw_id, person.raw_id) for one in record.participants):
        return replace(record, participants=(*record.participants, person))
    people = tuple(person if same(one.raw_id, person.raw_id) else one for one in record.participants)
    return replace(record, participants=people)


def without_agent(record: CallRecord) -> bool:
    """Whether the call is connected to a person without an agent, by a routing decision."""
    action = find_action(record, record.transfer)
    return action is not None and action.by == ROUTING


def bridged(record: CallRecord) -> bool:
    return record.transfer_stage is TransferStage.BRIDGED


def target_of(action: CallAction, policy: CallPolicy) -> TransferTarget | None:
    """Return the target of a transfer or an invitation, `None` if the policy in force does not have it."""
    name = argument_of(action, "target")
    if action.by == ROUTING:
        return TransferTarget("", name)
    return next((one for known, one in policy.targets.items() if known.lower() == name.lower()), None)


def mode_of(action: CallAction, target: TransferTarget) -> str:
    return argument_of(action, "mode") or target.mode if action.kind == TRANSFER else ATTENDED


def settings_of(person: Participant, policy: CallPolicy) -> TransferTarget:
    """Return the settings of the person's target; the defaults if the policy in force does not have it."""
    return policy.targets.get(person.name) or TransferTarget(person.name, person.raw_id)


def ring_until_ms(person: Participant, policy: CallPolicy) -> int:
    """Return when the invitation must have an outcome."""
    return person.at_ms + 1000 * settings_of(person, policy).ring_s + policy.ring_margin_ms


def name_of(raw_id: str, policy: CallPolicy) -> str:
    """Return the name of the target with this raw id, "" if the policy in force has none."""
    return next((name for name, one in policy.targets.items() if same(one.raw_id, raw_id)), "")


def same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def entry_of(roster: Sequence[RosterEntry], raw_id: str) -> RosterEntry | None:
    return next((one for one in roster if same(one.raw_id, raw_id)), None)


def caller_in(record: CallRecord, roster: Sequence[RosterEntry]) -> RosterEntry | None:
    """Return the caller. ACS may list a caller under another raw id than in the IncomingCall event, for example a
    hidden number: until it is known, it is the participant that is neither a known person nor the application.
    """
    if record.caller_listed:
        return entry_of(roster, record.caller_listed)
    return entry_of(roster, record.caller) or next(iter(_unknown(record, roster)), None)


def with_caller_listed(record: CallRecord, roster: Sequence[RosterEntry]) -> CallRecord:
    """Store the raw id of the caller if the list shows it without doubt."""
    caller, others = caller_in(record, roster), strangers_in(record, roster)
    if caller is None or (others and not same(caller.raw_id, record.caller)):
        return record
    return replace(record, caller_listed=caller.raw_id)


def strangers_in(record: CallRecord, roster: Sequence[RosterEntry]) -> list[RosterEntry]:
    """Return the participants whom no action has invited."""
    caller = caller_in(record, roster)
    return [one for one in _unknown(record, roster) if one != caller]


def is_caller(record: CallRecord, name: str) -> bool:
    return name in ("", CALLER) or same(name, record.caller) or same(name, record.caller_listed)


def acs_id_of_caller(record: CallRecord) -> str:
    """Return the raw id for requests to ACS: the listed one, which may differ from that of the event."""
    return record.caller_listed or record.caller


def _unknown(record: CallRecord, roster: Sequence[RosterEntry]) -> list[RosterEntry]:
    known = {one.raw_id.lower() for one in record.participants}
    known |= {record.callee.lower(), record.caller.lower(), record.caller_listed.lower()}
    others = [one for one in roster if one.raw_id.lower() not in known]
    return [one for one in others if not is_application(one.raw_id)]
