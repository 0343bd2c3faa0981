"""Guards and actions of the call machine's table for the participants of the call (ADR 44).

`ParticipantsUpdated` may be late, repeated, outdated or missing. It is only a reason to fetch the participants, and so
is each deadline; the answer decides who has joined and who has left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from bridge_common.wire.call_record import CallRecord, Participant, TransferStage
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.call_commands import (
    AddParticipant,
    CancelAdd,
    ListParticipants,
    RemoveParticipant,
    SetTimer,
)
from call_control.core.machine.call_events import CallEvent, CommandDone, CommandFailed, RosterEntry
from call_control.core.machine.call_people import (
    FAILED,
    JOINED,
    LEFT,
    RINGING,
    caller_in,
    entry_of,
    name_of,
    people_in,
    person_in_event,
    ring_until_ms,
    same,
    strangers_in,
    with_caller_listed,
    with_person,
)
from call_control.core.machine.participant_actions import complete_seen, unanswered
from call_control.core.machine.participant_changes import open_changes
from call_control.core.machine.transfer_stages import (
    SETTLE_MS,
    await_ringing,
    person_gone,
    person_joined,
    report_people,
    unreached,
)
from call_control.core.machine.transition import CallPolicy, Transition, armed, awaited, without_command
from call_control.core.machine.unreached import CANCELED, NO_ANSWER, UNKNOWN, reason_of, refusal

ABSENCE_MS: Final = 1_000
"""The call is hung up if the caller is missing in two lists of participants that are this far apart."""
REPEAT_MS: Final = 15_000
"""Longest pause between repeated requests to remove a person, or to cancel an invitation."""
LATE_MS: Final = 60_000
"""After a canceled invitation, participants are fetched for this time: the person may have just answered."""
_FETCHING: Final = (SetTimer.RING, SetTimer.PEOPLE, SetTimer.SCREENING)
"""Deadlines at which the participants are fetched before the second one decides."""
_MOST_STRANGERS: Final = 20
_OVERTAKEN: Final = "overtaken"


# -- guards -----------------------------------------------------------------------------------------------------------
def caller_gone(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the caller is not among the participants, was not a moment before, and is not being transferred."""
    request = awaited(record, event.seq) if isinstance(event, CommandDone) else None
    return isinstance(request, ListParticipants) and request.confirms and caller_missing(record, event, policy)


def caller_missing(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the caller is not among the participants, and is not being transferred."""
    if not isinstance(event, CommandDone) or not event.roster or armed(record, SetTimer.TRANSFER) is not None:
        return False
    return caller_in(record, event.roster) is None


def invited(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    person = _of_command(record, event)
    return person is not None and person.state == RINGING


def canceled_meanwhile(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if ACS has sent an invitation that was canceled in the meantime."""
    person = _of_command(record, event)
    is_sent = isinstance(event, CommandDone) and event.invitation_id != ""
    return person is not None and person.state == FAILED and is_sent


def invitation_refused(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    is_overtaken = isinstance(event, CommandFailed) and event.code == _OVERTAKEN
    return invited(record, event, policy) and not is_overtaken and not unanswered(record, event, policy)


def join_new(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the callback reports the join of a person who rings, or of one who was given up."""
    person = person_in_event(record, event)
    return person is not None and person.state in (RINGING, FAILED)


def awaited_person(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    person = person_in_event(record, event)
    return person is not None and person.state == RINGING


def cancel_awaited(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    person = person_in_event(record, event)
    return person is not None and person.state == FAILED and person.invitation_id != ""


def person_withdrawn(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if a person was removed, or their invitation canceled."""
    return bool(people_in(record, FAILED, LEFT))


def already_fetched(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the participants were already fetched because of this deadline."""
    timers = (armed(record, name) for name in _FETCHING if name == getattr(event, "timer", ""))
    return any(timer is not None and timer.last for timer in timers)


# -- actions: fetch the participants ----------------------------------------------------------------------------------
def fetch_participants(transition: Transition, event: CallEvent) -> None:
    """Fetch the participants. Only the answer to the latest request counts: an earlier one may never come."""
    for item in transition.record.pending:
        if item.kind == ListParticipants.__name__:
            transition.record = without_command(transition.record, item.seq)
    timer = armed(transition.record, SetTimer.ROSTER)
    confirms = timer is not None and timer.operation == SetTimer.CALLER_MISSING
    if timer is not None and confirms and transition.now_ms < timer.due_ms:
        transition.issue(ListParticipants)
        return
    transition.issue(ListParticipants, confirms=confirms)
    transition.arm(SetTimer.ROSTER, transition.policy.roster_ms)


def confirm_absence(transition: Transition, event: CallEvent) -> None:
    """Fetch the participants again in a moment: a single list without the caller does not end a conversation."""
    timer = armed(transition.record, SetTimer.ROSTER)
    if timer is None or timer.operation != SetTimer.CALLER_MISSING:
        transition.arm(SetTimer.ROSTER, ABSENCE_MS, last=True, operation=SetTimer.CALLER_MISSING)


def fetch_participants_soon(transition: Transition, event: CallEvent) -> None:
    """Fetch the participants, once for events that follow each other closely."""
    timer, policy = armed(transition.record, SetTimer.ROSTER), transition.policy
    if timer is not None and timer.last:
        return
    began_ms = timer.due_ms - policy.roster_ms if timer is not None else 0
    under_way = any(item.kind == ListParticipants.__name__ for item in transition.record.pending)
    if under_way or transition.now_ms < began_ms + policy.roster_pause_ms:
        transition.arm(SetTimer.ROSTER, policy.roster_pause_ms, last=True)
    else:
        fetch_participants(transition, event)


def fetch_participants_again(transition: Transition, event: CallEvent) -> None:
    """Fetch the participants at a deadline, and arm the final deadline."""
    fetch_participants(transition, event)
    for name in _FETCHING:
        if name == getattr(event, "timer", ""):
            transition.arm(name, transition.policy.people_ms // 2, last=True)


# -- actions: invitations ---------------------------------------------------------------------------------------------
def note_invitation(transition: Transition, event: CallEvent) -> None:
    person = _of_command(transition.record, event)
    if person is not None and isinstance(event, CommandDone):
        transition.record = with_person(transition.record, replace(person, invitation_id=event.invitation_id))


def cancel_late(transition: Transition, event: CallEvent) -> None:
    note_invitation(transition, event)
    person = _of_command(transition.record, event)
    if person is not None:
        transition.issue(CancelAdd, invitation_id=person.invitation_id)


def join(transition: Transition, event: CallEvent) -> None:
    person = person_in_event(transition.record, event)
    if person is not None:
        person_joined(transition, person)
        fetch_participants_soon(transition, event)


def not_joined(transition: Transition, event: CallEvent) -> None:
    """Complete the action of a person whose invitation has failed."""
    person = person_in_event(transition.record, event)
    if person is not None and isinstance(event, AcsEvent):
        reason = reason_of(event.code, event.sub_code)
        # Call-control did not cancel the invitation: it would know.
        unreached(transition, _without_invitation(transition, person), UNKNOWN if reason == CANCELED else reason)


def not_invited(transition: Transition, event: CallEvent) -> None:
    """Complete the action of a person whom ACS has refused to invite."""
    person = _of_command(transition.record, event)
    if person is not None and isinstance(event, CommandFailed):
        unreached(transition, person, refusal(event.code))


def forget_invitation(transition: Transition, event: CallEvent) -> None:
    person = person_in_event(transition.record, event)
    if person is not None:
        _without_invitation(transition, person)


def ring_over(transition: Transition, event: CallEvent) -> None:
    """Cancel the invitations that have rung for too long."""
    for person in _overdue(transition):
        unreached(transition, person, NO_ANSWER)
    await_ringing(transition)


# -- actions: the list of participants --------------------------------------------------------------------------------
def compare_roster(transition: Transition, event: CallEvent) -> None:
    """Compare the participants with the record."""
    roster = event.roster if isinstance(event, CommandDone) else ()
    if roster:
        _note_caller(transition, roster)
        complete_seen(transition, roster)
        for raw_id in [one.raw_id for one in transition.record.participants]:
            _compare(transition, _current(transition.record, raw_id), entry_of(roster, raw_id))
        _note_strangers(transition, roster)
    _watch_on(transition, roster)


def _compare(transition: Transition, person: Participant, entry: RosterEntry | None) -> None:
    is_settled = person.at_ms + SETTLE_MS <= transition.now_ms
    if entry is None:
        if person.state == JOINED and is_settled:
            person_gone(transition, person)
        elif person.state == RINGING and person in _overdue(transition):
            unreached(transition, person, NO_ANSWER)
        elif person in _uncanceled(transition):
            transition.issue(CancelAdd, invitation_id=person.invitation_id)
        return
    if person.state in (RINGING, FAILED):
        person_joined(transition, person)
    elif person.state == LEFT and is_settled:
        # The removal has failed, or the person has come back.
        if not any(item.kind == RemoveParticipant.__name__ for item in transition.record.pending):
            transition.issue(RemoveParticipant, raw_id=person.raw_id)
    else:
        flagged = replace(person, on_hold=entry.on_hold, muted=entry.muted)
        transition.record = with_person(transition.record, flagged)


def _note_caller(transition: Transition, roster: tuple[RosterEntry, ...]) -> None:
    transition.record = with_caller_listed(transition.record, roster)
    caller = caller_in(transition.record, roster)
    if caller is not None:
        was_on_hold = transition.record.caller_on_hold
        record = replace(transition.record, caller_on_hold=caller.on_hold, caller_muted=caller.muted)
        transition.record = record
        if caller.on_hold is not was_on_hold:
            report_people(transition)


def _note_strangers(transition: Transition, roster: tuple[RosterEntry, ...]) -> None:
    """Record people whom no known action has invited. They stay: the invitation may be lost with the data of Redis."""
    recorded = sum(not one.action_id for one in transition.record.participants)
    strangers = strangers_in(transition.record, roster)[: max(0, _MOST_STRANGERS - recorded)]
    for one in strangers:
        name, now_ms = name_of(one.raw_id, transition.policy), transition.now_ms
        person = Participant(one.raw_id, name, JOINED, at_ms=now_ms, on_hold=one.on_hold, muted=one.muted)
        transition.record = with_person(transition.record, person)
    if strangers:
        report_people(transition)


def _watch_on(transition: Transition, roster: tuple[RosterEntry, ...]) -> None:
    """Arm the timer for the next request of the participants."""
    record, now_ms, policy = transition.record, transition.now_ms, transition.policy
    timer = armed(record, SetTimer.ROSTER)
    if timer is not None and timer.last:
        return
    transition.disarm(SetTimer.ROSTER)
    in_doubt = [
        one
        for one in record.participants
        if (entry_of(roster, one.raw_id) is None) is (one.state == JOINED) and one.state != RINGING
    ]
    in_doubt += _uncanceled(transition)
    recent = [one for one in people_in(record, FAILED) if now_ms < one.at_ms + LATE_MS]
    if open_changes(record):
        transition.arm(SetTimer.ROSTER, SETTLE_MS)
    elif in_doubt:
        since_ms = now_ms - max(one.at_ms for one in in_doubt)
        transition.arm(SetTimer.ROSTER, min(max(since_ms // 2, SETTLE_MS), REPEAT_MS))
    elif people_in(record, RINGING, JOINED) or recent or record.transfer_stage is TransferStage.DIALING:
        transition.arm(SetTimer.ROSTER, policy.roster_ms)


def _uncanceled(transition: Transition) -> list[Participant]:
    """Return the people who were given up recently, and of whose invitation ACS has not reported the end."""
    now_ms, given_up = transition.now_ms, people_in(transition.record, FAILED)
    return [one for one in given_up if one.invitation_id and one.at_ms + SETTLE_MS <= now_ms < one.at_ms + LATE_MS]


def _overdue(transition: Transition) -> list[Participant]:
    now_ms, policy = transition.now_ms, transition.policy
    return [one for one in people_in(transition.record, RINGING) if ring_until_ms(one, policy) <= now_ms]


def _current(record: CallRecord, raw_id: str) -> Participant:
    return next(one for one in record.participants if same(one.raw_id, raw_id))


def _of_command(record: CallRecord, event: CallEvent) -> Participant | None:
    """Return the person whom the command has invited."""
    if not isinstance(event, CommandDone | CommandFailed):
        return None
    operation = f"{AddParticipant.__name__}-{event.seq}"
    actions = {one.id for one in record.actions if one.operation == operation}
    return next((one for one in record.participants if one.action_id in actions), None)


def _without_invitation(transition: Transition, person: Participant) -> Participant:
    person = replace(person, invitation_id="")
    transition.record = with_person(transition.record, person)
    return person
