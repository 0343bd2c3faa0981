"""Guards and actions of the call machine's table for events about participants that contain a list of them.

`ParticipantsUpdated` may be late, repeated, outdated or missing: it is only a reason to fetch the participants
(`roster_actions`). Most calls have nobody but the caller, so it is none if it shows nothing new.
"""

from __future__ import annotations

from dataclasses import replace

from bridge_common.wire.action_kinds import TRANSFER
from bridge_common.wire.call_record import CallRecord, TransferStage
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.action_book import with_action
from call_control.core.machine.call_commands import SetTimer
from call_control.core.machine.call_events import CallEvent, RosterEntry
from call_control.core.machine.call_people import (
    JOINED,
    caller_in,
    people_in,
    person_in_event,
    same,
    strangers_in,
    with_caller_listed,
)
from call_control.core.machine.participant_changes import open_changes
from call_control.core.machine.transfer_stages import SETTLE_MS
from call_control.core.machine.transition import CallPolicy, Transition, armed
from call_control.core.machine.unreached import UNKNOWN


def people_matter(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the list of participants can change something."""
    held = record.caller_on_hold or record.caller_muted
    return held or bool(record.participants) or bool(open_changes(record)) or _unexpected(record, event)


def caller_first_listed(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return with_caller_listed(record, _listed(event)) != record


def join_of_stranger(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the callback reports the join of a person whose invitation is unknown: Redis may have lost it."""
    if not isinstance(event, AcsEvent) or not event.participant or person_in_event(record, event) is not None:
        return False
    return not any(same(one.raw_id, event.participant) for one in people_in(record, JOINED))


def note_listed(transition: Transition, event: CallEvent) -> None:
    transition.record = with_caller_listed(transition.record, _listed(event))


def fetch_after_loss(transition: Transition, event: CallEvent) -> None:
    """Fetch the participants of a restored call: its record may lack the latest actions and their persons. Settle the
    transfers whose stage is lost, and limit a screening whose deadline is lost.
    """
    record = transition.record
    for action in record.actions:
        if action.open and action.kind == TRANSFER and action.id != record.transfer:
            lost = replace(action, state="failed", reason=UNKNOWN)
            transition.record = with_action(transition.record, lost)
    if record.transfer_stage is TransferStage.SCREENING and armed(record, SetTimer.SCREENING) is None:
        transition.arm(SetTimer.SCREENING, transition.policy.screening_ms)
    if armed(record, SetTimer.ROSTER) is None:
        transition.arm(SetTimer.ROSTER, SETTLE_MS)


def _unexpected(record: CallRecord, event: CallEvent) -> bool:
    """True if the roster in the event lists somebody whom the record does not know, or not the caller any more."""
    roster = _listed(event)
    caller_left = record.caller_listed != "" and caller_in(record, roster) is None
    return bool(roster) and (caller_left or bool(strangers_in(record, roster)))


def _listed(event: CallEvent) -> tuple[RosterEntry, ...]:
    return tuple(map(RosterEntry, event.listed)) if isinstance(event, AcsEvent) else ()
