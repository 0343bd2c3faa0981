"""The state machine of a call: one table, and the function that applies an event.

Statuses only go forward: ringing → answering → connected → transferring → ending → ended, or ringing → diverting →
ended. Two invariants apply to every row: leaving the live statuses (all before ending and diverting) issues `End`,
once in a call's life; and an event without a row in the table changes only the outbox (a command's result is then
known).

Callbacks are delivered at least once and in any order, mixed with entries of gateways and relays. Every row is
therefore idempotent: its guard rejects an event that repeats a known fact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import Act, Due, MediaOpen
from call_control.core.events.callbacks import AcsEvent, foreign_field, with_correlation
from call_control.core.machine import media_actions as media
from call_control.core.machine import requested_actions as requested
from call_control.core.machine.action_limits import limit_fault
from call_control.core.machine.call_actions import Row
from call_control.core.machine.call_commands import (
    AddParticipant,
    Answer,
    AnyCommand,
    AtOnce,
    End,
    FindRelay,
    HoldParticipant,
    InstructRelay,
    Leave,
    ListParticipants,
    LookUp,
    MuteParticipant,
    Offer,
    Redirect,
    Reject,
    RemoveParticipant,
    SendDtmf,
    SetTimer,
    StartDtmf,
    StartMediaStreaming,
    StopMediaStreaming,
    Transfer,
    UnholdParticipant,
)
from call_control.core.machine.call_events import CallEvent, CommandDone, CommandFailed, kind_of
from call_control.core.machine.call_events import EventKind as On
from call_control.core.machine.call_table import TABLE
from call_control.core.machine.people_faults import people_wanted
from call_control.core.machine.transfer_stages import dismiss_ringing
from call_control.core.machine.transition import CallPolicy, Transition, armed, awaited, local_first, without_command

RINGING, ANSWERING, CONNECTED = Status.RINGING, Status.ANSWERING, Status.CONNECTED
TRANSFERRING, DIVERTING, ENDED = Status.TRANSFERRING, Status.DIVERTING, Status.ENDED

_ROWS: Final[dict[tuple[Status, On], tuple[Row, ...]]] = {
    (at, on): tuple(row for row in TABLE if (row.at, row.on) == (at, on)) for at, on in {(r.at, r.on) for r in TABLE}
}

_WANTED_AT: Final[dict[type[AnyCommand], frozenset[Status]]] = {
    Offer: frozenset({RINGING, ANSWERING, CONNECTED}),
    FindRelay: frozenset({RINGING}),
    Transfer: frozenset({CONNECTED, TRANSFERRING}),
    AddParticipant: frozenset({CONNECTED}),
    RemoveParticipant: frozenset({CONNECTED, TRANSFERRING}),
    ListParticipants: frozenset({CONNECTED}),
    HoldParticipant: frozenset({CONNECTED}),
    UnholdParticipant: frozenset({CONNECTED}),
    MuteParticipant: frozenset({CONNECTED}),
    Leave: frozenset({CONNECTED}),
    StartDtmf: frozenset({CONNECTED}),
    Answer: frozenset({ANSWERING}),
    LookUp: frozenset({ANSWERING, CONNECTED, TRANSFERRING, Status.ENDING}),
    Redirect: frozenset({DIVERTING}),
    Reject: frozenset({DIVERTING}),
    StartMediaStreaming: frozenset({CONNECTED}),
    StopMediaStreaming: frozenset({CONNECTED}),
    SendDtmf: frozenset({CONNECTED}),
    InstructRelay: frozenset({CONNECTED}),
}
_OF_MEDIA: Final = frozenset(
    {
        On.MEDIA_OPEN,
        On.MEDIA_LOST,
        On.UPLINK_MISSED,
        On.STREAMING_FAILED,
        On.STREAMING_STOPPED,
    }
)
_ORDERED_BY_ENTRY: Final = _OF_MEDIA - {On.MEDIA_OPEN, On.MEDIA_LOST}
"""Events that do not identify a media socket reliably: only the order of the entries shows which are outdated. The
same applies to a `MediaOpen` of a known socket, which the relay repeats when it reads the uplink again.
"""
_NEEDS_CONTEXT: Final = _WANTED_AT[Answer] | _WANTED_AT[Redirect] | _WANTED_AT[Reject] | {RINGING}
"""Statuses that need the incoming-call context. In all others it is deleted: it is long, and can answer the call."""


@dataclass(frozen=True, slots=True)
class AppliedEvent:
    """The result of an event. `ignored`: the event does not apply to this status, or repeats a known fact; nothing
    changed. `foreign`: the field that shows that a callback belongs to another call.
    """

    record: CallRecord
    commands: tuple[AnyCommand, ...] = ()
    ignored: bool = False
    foreign: str = ""


def apply(record: CallRecord, event: CallEvent, now_ms: int, policy: CallPolicy, cause: str = "") -> AppliedEvent:
    """Return the record after the event and the commands to run; its outbox already contains them.

    `cause` is the id of the inbox entry that is being processed.
    """
    command = None
    if isinstance(event, CommandDone | CommandFailed):
        command = awaited(record, event.seq)
        if command is None:
            return AppliedEvent(record, ignored=True)
    elif isinstance(event, Due):
        timer = armed(record, event.timer)
        if timer is None or timer.seq != event.seq:
            return AppliedEvent(record, ignored=True)
    elif isinstance(event, Act) and requested.earlier(record, event, now_ms) is not None:
        return AppliedEvent(record, ignored=True)
    elif isinstance(event, AcsEvent) and (field := foreign_field(record, event)):
        return AppliedEvent(record, ignored=True, foreign=field)
    kind = kind_of(event, command)
    is_known = kind in _ORDERED_BY_ENTRY or (isinstance(event, MediaOpen) and event.epoch <= record.media_epoch)
    is_outdated = is_known and _order(cause) <= _order(record.media_news)
    is_limited = isinstance(event, Act) and limit_fault(record, event.action, event.by, now_ms) != ""
    row = None if is_outdated or is_limited else _row_for(record, event, kind, policy)
    known = without_command(record, command.seq) if command is not None else record
    transition = Transition(before=record, policy=policy, now_ms=now_ms, cause=cause, record=known)
    if row is None and isinstance(event, Act):
        requested.refuse(transition, event)
        return AppliedEvent(transition.record, tuple(transition.issued))
    if row is None:
        return AppliedEvent(known, ignored=known == record)
    return _apply_row(row, transition, event)


def still_wanted(record: CallRecord, command: AtOnce) -> bool:
    """Return whether the command is still useful; if the status has changed since it was issued, it could do harm."""
    match command:
        case StartMediaStreaming() | StopMediaStreaming():
            wanted = media.restart_wanted(record, command) or people_wanted(record, command)
        case SendDtmf():
            wanted = requested.tones_wanted(record, command)
        case _:
            wanted = people_wanted(record, command)
    if not wanted:
        return False
    return record.status in _WANTED_AT.get(type(command), frozenset(Status))


def _row_for(record: CallRecord, event: CallEvent, kind: On | None, policy: CallPolicy) -> Row | None:
    if kind is None:
        return None
    for row in _ROWS.get((record.status, kind), ()):
        if row.when is None or row.when(record, event, policy):
            return row
    return None


def _apply_row(row: Row, transition: Transition, event: CallEvent) -> AppliedEvent:
    if transition.record.status.live and not row.to.live:
        transition.disarm_all()
        dismiss_ringing(transition)
    for action in row.do:
        action(transition, event)
    if isinstance(event, AcsEvent):
        transition.record = with_correlation(transition.record, event)
    if isinstance(event, Due) and armed(transition.record, event.timer) == armed(transition.before, event.timer):
        transition.disarm(event.timer)
    if row.to is ENDED and row.at is not ENDED:
        transition.disarm_all()
        transition.record = requested.settle(transition.record)
        if not transition.record.ended_ms:
            transition.record = replace(transition.record, ended_ms=transition.now_ms)
    if transition.record.status.live and not row.to.live:
        apologize = armed(transition.record, SetTimer.APOLOGY) is not None
        transition.issue(End, reason=transition.record.end_reason, apologize=apologize)
    if row.on in _OF_MEDIA:
        news = max(transition.record.media_news, transition.cause, key=_order)
        epoch = max(transition.record.media_epoch, getattr(event, "epoch", 0))
        transition.record = replace(transition.record, media_news=news, media_epoch=epoch)
    context = transition.record.incoming_call_context if row.to in _NEEDS_CONTEXT else ""
    transition.record = replace(transition.record, status=row.to, incoming_call_context=context)
    return AppliedEvent(transition.record, tuple(local_first(transition.issued)))


def _order(entry_id: str) -> tuple[int, int]:
    """Return the sort key of an inbox entry id; "" is the lowest."""
    ms, _, seq = entry_id.partition("-")
    return (int(ms or 0), int(seq or 0))
