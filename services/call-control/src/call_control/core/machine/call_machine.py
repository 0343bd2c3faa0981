"""The call's state machine: one table, and the function that applies an event.

Statuses only go forward: ringing → answering → connected → transferring → ending → ended, or ringing → diverting →
ended. Two invariants apply to every row: leaving the live statuses (all before ending and diverting) issues `End`,
once in a call's life; and an event without a row in the table changes only the outbox (a command's result is then
known).

Callbacks are delivered at least once and in any order, mixed with entries of gateways and relays. Every row is
therefore idempotent: its guard rejects an event that repeats a known fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import Due, MediaOpen
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine import call_actions as do
from call_control.core.machine import media_actions as media
from call_control.core.machine.call_actions import Action, Guard, because
from call_control.core.machine.call_commands import (
    Answer,
    AnyCommand,
    AtOnce,
    End,
    FindRelay,
    LookUp,
    Offer,
    Redirect,
    Reject,
    SetTimer,
    StartMediaStreaming,
    StopMediaStreaming,
    Transfer,
    of_pending,
)
from call_control.core.machine.call_events import CallEvent, CommandDone, CommandFailed, EventKind, kind_of
from call_control.core.machine.callback_binding import foreign_field, with_correlation
from call_control.core.machine.transition import CallPolicy, Transition, armed, awaited, without_command

C = TypeVar("C", bound=AnyCommand)

RINGING, ANSWERING, CONNECTED = Status.RINGING, Status.ANSWERING, Status.CONNECTED
TRANSFERRING, ENDING, DIVERTING, ENDED = Status.TRANSFERRING, Status.ENDING, Status.DIVERTING, Status.ENDED


@dataclass(frozen=True, slots=True)
class TransitionRow:
    at: Status
    on: EventKind
    to: Status
    do: tuple[Action, ...] = ()
    when: Guard | None = None


TABLE: Final[tuple[TransitionRow, ...]] = (
    # The first matching row applies.
    TransitionRow(RINGING, EventKind.ACCEPTED, ANSWERING, (do.offer, do.answer), when=do.new_and_at_once),
    TransitionRow(RINGING, EventKind.ACCEPTED, RINGING, (do.offer,), when=do.new),
    TransitionRow(RINGING, EventKind.REDIRECTED, DIVERTING, (because("redirected"), do.redirect), when=do.new),
    TransitionRow(RINGING, EventKind.REJECTED, DIVERTING, (do.because_told, do.reject), when=do.new),
    TransitionRow(RINGING, EventKind.RING_EXPIRED, ENDED, (because("ring_expired"),), when=do.new),
    TransitionRow(RINGING, EventKind.VOICE_READY, ANSWERING, (do.note_voice, do.answer)),
    TransitionRow(RINGING, EventKind.VOICE_LOST, DIVERTING, (because("voice_lost"), do.divert), when=do.voice_current),
    TransitionRow(RINGING, EventKind.CLAIM_DUE, RINGING, (do.find_relay,)),
    TransitionRow(
        RINGING, EventKind.FIND_RELAY_DONE, DIVERTING, (because("no_capacity"), do.divert), when=do.fleet_full
    ),
    TransitionRow(RINGING, EventKind.FIND_RELAY_DONE, RINGING, (do.await_claim,), when=do.unclaimed),
    TransitionRow(RINGING, EventKind.VOICE_DUE, DIVERTING, (because("no_voice"), do.divert)),
    TransitionRow(RINGING, EventKind.RESTORED, RINGING, (do.adopt_outbox,)),
    TransitionRow(RINGING, EventKind.HANG_UP, DIVERTING, (do.because_told, do.reject)),
    # -- answer requested; callbacks, the answer's result and the media socket arrive in any order
    TransitionRow(ANSWERING, EventKind.ANSWER_DONE, ANSWERING, (do.note_connection,)),
    TransitionRow(ANSWERING, EventKind.ANSWER_GONE, ENDED, (do.because_told,)),
    TransitionRow(ANSWERING, EventKind.ANSWER_REFUSED, DIVERTING, (do.because_told, do.divert)),
    TransitionRow(ANSWERING, EventKind.ANSWER_FAILED, ENDED, (do.note_connection, do.because_told)),
    TransitionRow(ANSWERING, EventKind.CALL_CONNECTED, CONNECTED, (do.note_connected, media.expect_media)),
    TransitionRow(ANSWERING, EventKind.CALL_DISCONNECTED, ENDED, (do.note_connection, do.because_told)),
    TransitionRow(ANSWERING, EventKind.VOICE_READY, ANSWERING, (do.note_voice,)),
    TransitionRow(ANSWERING, EventKind.VOICE_LOST, ENDING, (because("voice_lost"), do.hang_up), when=do.voice_current),
    TransitionRow(ANSWERING, EventKind.VOICE_DUE, ENDING, (because("no_voice"), do.hang_up)),
    TransitionRow(ANSWERING, EventKind.MEDIA_OPEN, ANSWERING, (media.note_media,), when=media.socket_new),
    TransitionRow(ANSWERING, EventKind.MEDIA_LOST, ANSWERING, (media.await_redial,), when=media.socket_current),
    TransitionRow(ANSWERING, EventKind.MEDIA_LOST, ANSWERING, (media.note_loss,), when=media.loss_known_better),
    TransitionRow(ANSWERING, EventKind.MEDIA_DUE, ANSWERING, (media.wait_on,)),
    TransitionRow(ANSWERING, EventKind.CONNECT_DUE, ANSWERING, (do.look_up,), when=do.first_deadline),
    TransitionRow(ANSWERING, EventKind.CONNECT_DUE, ENDING, (because("never_connected"), do.hang_up)),
    TransitionRow(
        ANSWERING,
        EventKind.LOOK_UP_DONE,
        CONNECTED,
        (do.note_connected, media.expect_media),
        when=do.looked_up_connected,
    ),
    TransitionRow(ANSWERING, EventKind.LOOK_UP_DONE, ENDING, (because("never_connected"), do.hang_up)),
    TransitionRow(ANSWERING, EventKind.LOOK_UP_GONE, ENDED, (do.because_told,)),
    TransitionRow(ANSWERING, EventKind.RESTORED, ANSWERING, (do.adopt_outbox,)),
    TransitionRow(ANSWERING, EventKind.HANG_UP, ENDING, (do.because_told, do.hang_up)),
    # -- connected
    TransitionRow(CONNECTED, EventKind.ANSWER_DONE, CONNECTED, (do.note_connection,), when=do.connection_news),
    TransitionRow(CONNECTED, EventKind.VOICE_READY, CONNECTED, (do.note_voice,)),
    TransitionRow(CONNECTED, EventKind.VOICE_LOST, TRANSFERRING, (do.transfer,), when=do.people_may_help),
    TransitionRow(
        CONNECTED, EventKind.VOICE_LOST, ENDING, (because("voice_lost"), do.apologize), when=do.voice_current
    ),
    TransitionRow(CONNECTED, EventKind.VOICE_DUE, TRANSFERRING, (do.transfer,), when=do.people_may_help),
    TransitionRow(CONNECTED, EventKind.VOICE_DUE, ENDING, (because("no_voice"), do.apologize)),
    TransitionRow(CONNECTED, EventKind.MEDIA_OPEN, CONNECTED, (media.note_media,), when=media.socket_new),
    TransitionRow(CONNECTED, EventKind.MEDIA_LOST, CONNECTED, (media.await_redial,), when=media.socket_current),
    TransitionRow(CONNECTED, EventKind.MEDIA_LOST, CONNECTED, (media.note_loss,), when=media.loss_known_better),
    TransitionRow(CONNECTED, EventKind.UPLINK_MISSED, CONNECTED, (media.restart_streaming,), when=media.media_expected),
    TransitionRow(CONNECTED, EventKind.UPLINK_MISSED, CONNECTED, (media.note_loss,), when=media.loss_known_better),
    TransitionRow(
        CONNECTED, EventKind.STREAMING_FAILED, CONNECTED, (media.restart_streaming,), when=media.streaming_over
    ),
    TransitionRow(CONNECTED, EventKind.STREAMING_FAILED, CONNECTED, (media.pause,), when=media.attempt_failed),
    # ACS also posts this at the end of a call, shortly before CallDisconnected.
    TransitionRow(CONNECTED, EventKind.STREAMING_STOPPED, CONNECTED, (media.await_redial,), when=media.stopped_unasked),
    TransitionRow(CONNECTED, EventKind.MEDIA_DUE, CONNECTED, (media.wait_on,), when=media.start_under_way),
    TransitionRow(CONNECTED, EventKind.MEDIA_DUE, CONNECTED, (media.restart_streaming,), when=media.patience_left),
    TransitionRow(CONNECTED, EventKind.MEDIA_DUE, TRANSFERRING, (do.transfer,), when=do.people_may_help),
    # The caller could not hear an apology.
    TransitionRow(CONNECTED, EventKind.MEDIA_DUE, ENDING, (because("media_lost"), do.hang_up)),
    TransitionRow(CONNECTED, EventKind.START_REFUSED, CONNECTED, (media.note_media,), when=media.start_needless),
    TransitionRow(CONNECTED, EventKind.START_REFUSED, CONNECTED, (media.pause,), when=media.start_awaited),
    TransitionRow(CONNECTED, EventKind.START_GONE, ENDED, (do.because_told,)),
    TransitionRow(CONNECTED, EventKind.LENGTH_DUE, ENDING, (because("too_long"), do.hang_up)),
    TransitionRow(CONNECTED, EventKind.RESTORED, CONNECTED, (do.adopt_outbox,)),
    TransitionRow(CONNECTED, EventKind.HANG_UP, ENDING, (do.because_told, do.hang_up)),
    TransitionRow(CONNECTED, EventKind.CALL_DISCONNECTED, ENDED, (do.because_told,)),
    # -- the voice agent is gone, and human agents are rung
    TransitionRow(
        TRANSFERRING,
        EventKind.TRANSFER_ACCEPTED,
        ENDING,
        (because("transferred"), do.await_end),
        when=do.transfer_asked,
    ),
    TransitionRow(
        TRANSFERRING,
        EventKind.TRANSFER_FAILED,
        ENDING,
        (because("not_transferred"), do.apologize),
        when=do.transfer_asked,
    ),
    TransitionRow(TRANSFERRING, EventKind.TRANSFER_REFUSED, ENDING, (because("not_transferred"), do.apologize)),
    TransitionRow(TRANSFERRING, EventKind.TRANSFER_DUE, ENDING, (because("not_transferred"), do.apologize)),
    TransitionRow(TRANSFERRING, EventKind.TRANSFER_GONE, ENDED, (do.because_told,)),
    TransitionRow(
        TRANSFERRING, EventKind.CALL_DISCONNECTED, ENDED, (because("transferred"),), when=do.left_by_transfer
    ),
    TransitionRow(TRANSFERRING, EventKind.CALL_DISCONNECTED, ENDED, (do.because_told,)),
    TransitionRow(TRANSFERRING, EventKind.LENGTH_DUE, ENDING, (because("too_long"), do.hang_up)),
    TransitionRow(TRANSFERRING, EventKind.RESTORED, TRANSFERRING, (do.adopt_outbox,)),
    TransitionRow(TRANSFERRING, EventKind.HANG_UP, ENDING, (do.because_told, do.hang_up)),
    # -- hanging up: only once ACS has returned the connection id, and again when it reports the call as connected,
    #    because it refuses to hang up earlier (400/8501)
    TransitionRow(ENDING, EventKind.ANSWER_DONE, ENDING, (do.note_connection, do.hang_up), when=do.connection_news),
    TransitionRow(ENDING, EventKind.ANSWER_GONE, ENDED),
    TransitionRow(ENDING, EventKind.ANSWER_REFUSED, ENDED),
    TransitionRow(ENDING, EventKind.ANSWER_FAILED, ENDED),
    TransitionRow(ENDING, EventKind.CALL_CONNECTED, ENDING, (do.note_connected, do.hang_up), when=do.not_connected_yet),
    TransitionRow(ENDING, EventKind.CALL_DISCONNECTED, ENDED, (do.note_connection,)),
    TransitionRow(ENDING, EventKind.HANG_UP_GONE, ENDED),
    TransitionRow(ENDING, EventKind.HANG_UP, ENDING, (do.hang_up,), when=do.apologizing),
    TransitionRow(ENDING, EventKind.APOLOGY_DUE, ENDING, (do.hang_up,)),
    TransitionRow(ENDING, EventKind.ENDING_DUE, ENDED),
    # -- handing the caller on or away
    TransitionRow(DIVERTING, EventKind.REDIRECT_DONE, ENDED),
    TransitionRow(DIVERTING, EventKind.REDIRECT_GONE, ENDED),
    TransitionRow(DIVERTING, EventKind.REDIRECT_REFUSED, DIVERTING, (do.reject,)),
    TransitionRow(DIVERTING, EventKind.REJECT_DONE, ENDED),
    TransitionRow(DIVERTING, EventKind.REJECT_GONE, ENDED),
    TransitionRow(DIVERTING, EventKind.REJECT_REFUSED, ENDED),
    TransitionRow(
        DIVERTING, EventKind.CALL_CONNECTED, ENDING, (do.note_connected, do.hang_up), when=do.answer_requested
    ),
    TransitionRow(DIVERTING, EventKind.CALL_DISCONNECTED, ENDED, (do.note_connection,)),
    TransitionRow(DIVERTING, EventKind.ANSWER_FAILED, ENDED),
    TransitionRow(DIVERTING, EventKind.ENDING_DUE, ENDED),
    # -- ended; but a late answer by ACS must not leave the caller on a silent line
    TransitionRow(ENDED, EventKind.ANSWER_DONE, ENDED, (do.note_connection, do.hang_up_stray), when=do.connection_news),
    TransitionRow(
        ENDED, EventKind.CALL_CONNECTED, ENDED, (do.note_connected, do.hang_up_stray), when=do.answer_requested
    ),
)

_ROWS: Final[dict[tuple[Status, EventKind], tuple[TransitionRow, ...]]] = {
    (at, on): tuple(row for row in TABLE if (row.at, row.on) == (at, on)) for at, on in {(r.at, r.on) for r in TABLE}
}

_WANTED_AT: Final[dict[type[AnyCommand], frozenset[Status]]] = {
    Offer: frozenset({RINGING, ANSWERING, CONNECTED}),
    FindRelay: frozenset({RINGING}),
    Transfer: frozenset({TRANSFERRING}),
    Answer: frozenset({ANSWERING}),
    LookUp: frozenset({ANSWERING}),
    Redirect: frozenset({DIVERTING}),
    Reject: frozenset({DIVERTING}),
    StartMediaStreaming: frozenset({CONNECTED}),
    StopMediaStreaming: frozenset({CONNECTED}),
}
_OF_MEDIA: Final = frozenset(
    {
        EventKind.MEDIA_OPEN,
        EventKind.MEDIA_LOST,
        EventKind.UPLINK_MISSED,
        EventKind.STREAMING_FAILED,
        EventKind.STREAMING_STOPPED,
    }
)
_OUTDATED_BY_NEWS: Final = _OF_MEDIA - {EventKind.MEDIA_OPEN, EventKind.MEDIA_LOST}
"""These kinds do not identify a socket reliably: only the order of the entries shows which ones are outdated. The
same applies to a `MediaOpen` of a known socket, which the relay repeats when it reads the uplink again.
"""
_NEEDS_CONTEXT: Final = _WANTED_AT[Answer] | _WANTED_AT[Redirect] | _WANTED_AT[Reject] | {RINGING}
"""The incoming-call context is long, and its holder can answer the call: all other statuses drop it."""


@dataclass(frozen=True, slots=True)
class AppliedEvent:
    """`ignored`: the event does not apply to this status, or repeats a known fact; nothing changed. `foreign`: the
    field     that shows that a callback belongs to another call.
    """

    record: CallRecord
    commands: tuple[AnyCommand, ...] = ()
    ignored: bool = False
    foreign: str = ""


def apply(record: CallRecord, event: CallEvent, now_ms: int, rules: CallPolicy, cause: str = "") -> AppliedEvent:
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
    elif isinstance(event, AcsEvent) and (field := foreign_field(record, event)):
        return AppliedEvent(record, ignored=True, foreign=field)
    kind = kind_of(event, command)
    is_known = kind in _OUTDATED_BY_NEWS or (isinstance(event, MediaOpen) and event.epoch <= record.media_epoch)
    is_outdated = is_known and _order(cause) <= _order(record.media_news)
    row = None if is_outdated else _row_for(record, event, kind, rules)
    known = without_command(record, command.seq) if command is not None else record
    if row is None:
        return AppliedEvent(known, ignored=known == record)
    return _take(row, Transition(before=record, rules=rules, now_ms=now_ms, cause=cause, record=known), event)


def outstanding(record: CallRecord, cause: str) -> list[AtOnce]:
    """The commands, oldest first, whose results the inbox entry `cause` still waits for. Timers are not included: they
    are set with the record (`transition.newly_due`).
    """
    commands = [of_pending(item) for item in record.pending]
    return _releases_first([c for c in commands if c is not None and not isinstance(c, SetTimer) and c.cause == cause])


def still_wanted(record: CallRecord, command: AtOnce) -> bool:
    """False if the status has changed since the command was issued, so that running it would do harm."""
    if isinstance(command, StartMediaStreaming | StopMediaStreaming) and not media.restart_wanted(record, command):
        return False
    return record.status in _WANTED_AT.get(type(command), frozenset(Status))


def _row_for(record: CallRecord, event: CallEvent, kind: EventKind | None, rules: CallPolicy) -> TransitionRow | None:
    if kind is None:
        return None
    for row in _ROWS.get((record.status, kind), ()):
        if row.when is None or row.when(record, event, rules):
            return row
    return None


def _take(row: TransitionRow, draft: Transition, event: CallEvent) -> AppliedEvent:
    if draft.record.status.live and not row.to.live:
        draft.disarm_all()
    for action in row.do:
        action(draft, event)
    if isinstance(event, AcsEvent):
        draft.record = with_correlation(draft.record, event)
    if isinstance(event, Due) and armed(draft.record, event.timer) == armed(draft.before, event.timer):
        draft.disarm(event.timer)
    if row.to is ENDED:
        draft.disarm_all()
        if not draft.record.ended_ms:
            draft.record = replace(draft.record, ended_ms=draft.now_ms)
    if draft.record.status.live and not row.to.live:
        apologize = armed(draft.record, SetTimer.APOLOGY) is not None
        draft.issue(End, reason=draft.record.end_reason, apologize=apologize)
    if row.on in _OF_MEDIA:
        news = max(draft.record.media_news, draft.cause, key=_order)
        epoch = max(draft.record.media_epoch, getattr(event, "epoch", 0))
        draft.record = replace(draft.record, media_news=news, media_epoch=epoch)
    context = draft.record.incoming_call_context if row.to in _NEEDS_CONTEXT else ""
    draft.record = replace(draft.record, status=row.to, incoming_call_context=context)
    return AppliedEvent(draft.record, tuple(_releases_first(draft.issued)))


def _releases_first(commands: Sequence[C]) -> list[C]:
    """Local commands first: the release of the voice session must not wait for ACS."""
    local = (End, SetTimer, Offer, FindRelay)
    return sorted(commands, key=lambda command: not isinstance(command, local))


def _order(entry_id: str) -> tuple[int, int]:
    """Sort key of an inbox entry id; "" is the lowest."""
    ms, _, seq = entry_id.partition("-")
    return (int(ms or 0), int(seq or 0))
