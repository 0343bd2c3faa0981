"""Changes of a participant: hold, resume, mute, remove. Each is a command to ACS, and its effect is seen in the list of
participants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bridge_common.wire.action_kinds import CALLER, HOLD, MUTE, REMOVE_PARTICIPANT, RESUME, TRANSFER
from bridge_common.wire.call_record import CallAction, CallRecord
from call_control.core.machine.action_book import argument_of, finish, with_action
from call_control.core.machine.call_commands import (
    AcsCommand,
    HoldParticipant,
    MuteParticipant,
    RemoveParticipant,
    SetTimer,
    UnholdParticipant,
)
from call_control.core.machine.call_events import RosterEntry
from call_control.core.machine.call_people import acs_id_of_caller, is_caller, person_named
from call_control.core.machine.transition import Transition, armed

ACCEPTED: Final = "accepted by ACS"
"""Reason of a running change whose command ACS has accepted."""


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of an action on a participant, and how the list of participants shows it."""

    command: type[HoldParticipant | UnholdParticipant | MuteParticipant | RemoveParticipant]
    outcome: str
    seen: Callable[[RosterEntry | None], bool]


EFFECTS: Final = {
    HOLD: Effect(HoldParticipant, "on_hold", lambda entry: entry is not None and entry.on_hold),
    RESUME: Effect(UnholdParticipant, "resumed", lambda entry: entry is not None and not entry.on_hold),
    MUTE: Effect(MuteParticipant, "muted", lambda entry: entry is not None and entry.muted),
    REMOVE_PARTICIPANT: Effect(RemoveParticipant, "removed", lambda entry: entry is None),
}
COMMANDS: Final[tuple[type[AcsCommand], ...]] = tuple(effect.command for effect in EFFECTS.values())

_OVERTAKEN_BY: Final = {
    HOLD: (RESUME, REMOVE_PARTICIPANT),
    RESUME: (HOLD, REMOVE_PARTICIPANT),
    MUTE: (REMOVE_PARTICIPANT,),
    REMOVE_PARTICIPANT: (),
}
"""Later changes after which the list of participants does not show the effect of the earlier one."""


def request(transition: Transition, action: CallAction) -> None:
    """Request the change, unless the participant has that state already."""
    effect, raw_id = EFFECTS[action.kind], raw_id_of(transition.record, action)
    changing = [raw_id_of(transition.record, one) for one in open_changes(transition.record)]
    if raw_id not in changing and effect.seen(_known(transition.record, raw_id)):
        finish(transition, action, "done", effect.outcome)
        return
    command = transition.issue(effect.command, raw_id=raw_id)
    operation = f"{effect.command.__name__}-{command.seq}"
    transition.record = with_action(transition.record, replace(action, state="running", operation=operation))
    complete_overtaken(transition)
    if armed(transition.record, SetTimer.PEOPLE) is None:
        transition.arm(SetTimer.PEOPLE, transition.policy.people_ms)


def resume_caller(transition: Transition) -> None:
    """Resume a caller who is on hold, or whose hold is under way: a caller on hold hears nobody."""
    record = transition.record
    holds = [
        one.kind
        for one in open_changes(record)
        if one.kind in (HOLD, RESUME) and is_caller(record, argument_of(one, "participant"))
    ]
    if holds[-1] == HOLD if holds else record.caller_on_hold:
        action_id = f"{RESUME}-{record.command_seq}"
        request(transition, CallAction(action_id, RESUME, f'{{"participant":"{CALLER}"}}', TRANSFER, transition.now_ms))


def complete_overtaken(transition: Transition) -> None:
    """Complete the changes that ACS has accepted and a later one has overtaken: nothing else shows that they were
    carried out.
    """
    record = transition.record
    for at, action in enumerate(record.actions):
        if not action.open or action.reason != ACCEPTED:
            continue
        later = [one for one in record.actions[at + 1 :] if one.kind in _OVERTAKEN_BY[action.kind]]
        if any(raw_id_of(record, one) == raw_id_of(record, action) for one in later if one.operation):
            finish(transition, action, "done", EFFECTS[action.kind].outcome)


def open_changes(record: CallRecord) -> list[CallAction]:
    return [one for one in record.actions if one.open and one.kind in EFFECTS]


def raw_id_of(record: CallRecord, action: CallAction) -> str:
    """Return the raw id of the participant that the action changes."""
    name = argument_of(action, "participant")
    if is_caller(record, name):
        return acs_id_of_caller(record)
    person = person_named(record, name)
    return person.raw_id if person is not None else name


def _known(record: CallRecord, raw_id: str) -> RosterEntry | None:
    """Return the participant as the record knows it."""
    person = person_named(record, raw_id)
    if person is not None:
        return RosterEntry(person.raw_id, person.on_hold, person.muted)
    return RosterEntry(raw_id, record.caller_on_hold, record.caller_muted)
