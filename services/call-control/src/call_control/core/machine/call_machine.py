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
from call_control.core.machine import call_actions as do
from call_control.core.machine import media_actions as media
from call_control.core.machine import requested_actions as requested
from call_control.core.machine import waiting_actions as wait
from call_control.core.machine.action_limits import limit_fault
from call_control.core.machine.call_actions import Action, Guard, set_end_reason
from call_control.core.machine.call_commands import (
    Answer,
    AnyCommand,
    AtOnce,
    End,
    FindRelay,
    InstructRelay,
    LookUp,
    Offer,
    Redirect,
    Reject,
    SendDtmf,
    SetTimer,
    StartMediaStreaming,
    StopMediaStreaming,
    Transfer,
)
from call_control.core.machine.call_events import CallEvent, CommandDone, CommandFailed, kind_of
from call_control.core.machine.call_events import EventKind as On
from call_control.core.machine.transition import CallPolicy, Transition, armed, awaited, local_first, without_command

RINGING, ANSWERING, CONNECTED = Status.RINGING, Status.ANSWERING, Status.CONNECTED
TRANSFERRING, ENDING, DIVERTING, ENDED = Status.TRANSFERRING, Status.ENDING, Status.DIVERTING, Status.ENDED


@dataclass(frozen=True, slots=True)
class Row:
    at: Status
    on: On
    to: Status
    do: tuple[Action, ...] = ()
    when: Guard | None = None


TABLE: Final[tuple[Row, ...]] = (
    # The first matching row applies.
    Row(RINGING, On.ACCEPTED, ANSWERING, (wait.follow_rule, wait.offer, do.answer), when=wait.undecided_at_once),
    Row(RINGING, On.ACCEPTED, RINGING, (wait.follow_rule, wait.offer), when=wait.undecided),
    Row(RINGING, On.QUEUED, RINGING, (wait.follow_rule, wait.await_place), when=wait.undecided),
    Row(
        RINGING,
        On.REDIRECTED,
        DIVERTING,
        (wait.follow_rule, set_end_reason("redirected"), do.redirect),
        when=wait.undecided,
    ),
    Row(
        RINGING,
        On.REJECTED,
        DIVERTING,
        (wait.follow_rule, do.set_end_reason_from_event, do.reject),
        when=wait.undecided,
    ),
    Row(RINGING, On.PLACE_FREE, ANSWERING, (wait.offer, do.answer), when=wait.queued_at_once),
    Row(RINGING, On.PLACE_FREE, RINGING, (wait.offer,), when=wait.queued),
    Row(RINGING, On.PLACE_DUE, RINGING, (wait.await_place,)),
    # A wait that is over leads to the next rule, if there is one (`steps`).
    Row(RINGING, On.WAIT_DUE, RINGING, (wait.await_voice,), when=wait.voice_noted),
    Row(RINGING, On.WAIT_DUE, DIVERTING, (set_end_reason("no_capacity"), do.divert)),
    Row(RINGING, On.RING_EXPIRED, ENDED, (set_end_reason("ring_expired"),), when=do.new),
    Row(RINGING, On.VOICE_READY, ANSWERING, (do.note_voice, do.answer)),
    Row(RINGING, On.VOICE_LOST, RINGING, (wait.offer_later,), when=wait.waiting),
    Row(RINGING, On.VOICE_LOST, DIVERTING, (set_end_reason("voice_lost"), do.divert), when=do.voice_current),
    Row(RINGING, On.CLAIM_DUE, RINGING, (do.find_relay,)),
    Row(RINGING, On.FIND_RELAY_DONE, DIVERTING, (set_end_reason("no_capacity"), do.divert), when=do.fleet_full),
    Row(RINGING, On.FIND_RELAY_DONE, RINGING, (do.await_claim,), when=do.unclaimed),
    Row(RINGING, On.VOICE_DUE, DIVERTING, (set_end_reason("no_voice"), do.divert)),
    Row(RINGING, On.RESTORED, RINGING, (do.adopt_outbox,)),
    Row(RINGING, On.HANG_UP, DIVERTING, (do.set_end_reason_from_event, do.reject)),
    # -- answer requested; callbacks, the answer's result and the media socket arrive in any order
    Row(ANSWERING, On.ANSWER_DONE, ANSWERING, (do.note_connection,)),
    Row(ANSWERING, On.ANSWER_GONE, ENDED, (do.set_end_reason_from_event,)),
    Row(ANSWERING, On.ANSWER_REFUSED, DIVERTING, (do.set_end_reason_from_event, do.divert)),
    Row(ANSWERING, On.ANSWER_FAILED, ENDED, (do.note_connection, do.set_end_reason_from_event)),
    Row(ANSWERING, On.CALL_CONNECTED, CONNECTED, (do.note_connected, media.expect_media)),
    Row(ANSWERING, On.CALL_DISCONNECTED, ENDED, (do.note_connection, do.set_end_reason_from_event)),
    Row(ANSWERING, On.VOICE_READY, ANSWERING, (do.note_voice,)),
    Row(ANSWERING, On.VOICE_LOST, ENDING, (set_end_reason("voice_lost"), do.hang_up), when=do.voice_current),
    Row(ANSWERING, On.VOICE_DUE, ENDING, (set_end_reason("no_voice"), do.hang_up)),
    Row(ANSWERING, On.MEDIA_OPEN, ANSWERING, (media.note_media,), when=media.socket_new),
    Row(ANSWERING, On.MEDIA_LOST, ANSWERING, (media.await_redial,), when=media.socket_current),
    Row(ANSWERING, On.MEDIA_LOST, ANSWERING, (media.note_loss,), when=media.loss_known_better),
    Row(ANSWERING, On.MEDIA_DUE, ANSWERING, (media.wait_on,)),
    Row(ANSWERING, On.CONNECT_DUE, ANSWERING, (do.look_up,), when=do.first_deadline),
    Row(ANSWERING, On.CONNECT_DUE, ENDING, (set_end_reason("never_connected"), do.hang_up)),
    Row(
        ANSWERING,
        On.LOOK_UP_DONE,
        CONNECTED,
        (do.note_connected, media.expect_media),
        when=do.looked_up_connected,
    ),
    Row(ANSWERING, On.LOOK_UP_DONE, ENDING, (set_end_reason("never_connected"), do.hang_up)),
    Row(ANSWERING, On.LOOK_UP_GONE, ENDED, (do.set_end_reason_from_event,)),
    Row(ANSWERING, On.RESTORED, ANSWERING, (do.adopt_outbox,)),
    Row(ANSWERING, On.HANG_UP, ENDING, (do.set_end_reason_from_event, do.hang_up)),
    # -- connected
    Row(CONNECTED, On.ANSWER_DONE, CONNECTED, (do.note_connection,), when=do.connection_new),
    Row(CONNECTED, On.VOICE_READY, CONNECTED, (do.note_voice,)),
    Row(CONNECTED, On.VOICE_LOST, ENDING, (requested.finish_closing, do.hang_up), when=requested.closing),
    Row(CONNECTED, On.VOICE_LOST, TRANSFERRING, (do.transfer,), when=do.can_transfer),
    Row(CONNECTED, On.VOICE_LOST, ENDING, (set_end_reason("voice_lost"), do.apologize), when=do.voice_current),
    Row(CONNECTED, On.VOICE_DUE, TRANSFERRING, (do.transfer,), when=do.can_transfer),
    Row(CONNECTED, On.VOICE_DUE, ENDING, (set_end_reason("no_voice"), do.apologize)),
    Row(CONNECTED, On.MEDIA_OPEN, CONNECTED, (media.note_media,), when=media.socket_new),
    Row(CONNECTED, On.MEDIA_LOST, CONNECTED, (media.await_redial,), when=media.socket_current),
    Row(CONNECTED, On.MEDIA_LOST, CONNECTED, (media.note_loss,), when=media.loss_known_better),
    Row(CONNECTED, On.UPLINK_MISSED, CONNECTED, (media.restart_streaming,), when=media.media_expected),
    Row(CONNECTED, On.UPLINK_MISSED, CONNECTED, (media.note_loss,), when=media.loss_known_better),
    Row(CONNECTED, On.STREAMING_FAILED, CONNECTED, (media.restart_streaming,), when=media.streaming_over),
    Row(CONNECTED, On.STREAMING_FAILED, CONNECTED, (media.pause,), when=media.attempt_failed),
    # ACS also posts this at the end of a call, shortly before CallDisconnected.
    Row(CONNECTED, On.STREAMING_STOPPED, CONNECTED, (media.await_redial,), when=media.stopped_unrequested),
    Row(CONNECTED, On.MEDIA_DUE, CONNECTED, (media.wait_on,), when=media.start_under_way),
    Row(CONNECTED, On.MEDIA_DUE, CONNECTED, (media.restart_streaming,), when=media.patience_left),
    Row(CONNECTED, On.MEDIA_DUE, TRANSFERRING, (do.transfer,), when=do.can_transfer),
    # The caller could not hear an apology.
    Row(CONNECTED, On.MEDIA_DUE, ENDING, (set_end_reason("media_lost"), do.hang_up)),
    Row(CONNECTED, On.START_REFUSED, CONNECTED, (media.note_media,), when=media.start_needless),
    Row(CONNECTED, On.START_REFUSED, CONNECTED, (media.pause,), when=media.start_awaited),
    Row(CONNECTED, On.START_GONE, ENDED, (do.set_end_reason_from_event,)),
    Row(CONNECTED, On.WARNING_DUE, CONNECTED, (requested.warn_of_end,), when=requested.not_closing),
    Row(CONNECTED, On.LENGTH_DUE, CONNECTED, (requested.begin_closing,), when=requested.not_closing),
    Row(CONNECTED, On.LENGTH_DUE, CONNECTED, (requested.await_goodbye,)),
    Row(CONNECTED, On.RESTORED, CONNECTED, (do.adopt_outbox,)),
    Row(CONNECTED, On.HANG_UP, ENDING, (do.set_end_reason_from_event, do.hang_up)),
    Row(CONNECTED, On.ACT_HANG_UP, CONNECTED, (requested.begin_closing,), when=requested.not_closing),
    Row(CONNECTED, On.ACT_HANG_UP, CONNECTED, (requested.join_closing,), when=requested.valid),
    Row(CONNECTED, On.GOODBYE_OVER, CONNECTED, (requested.continue_call,), when=requested.caller_goes_on),
    Row(CONNECTED, On.GOODBYE_OVER, ENDING, (requested.finish_closing, do.hang_up), when=requested.closing),
    Row(CONNECTED, On.CLOSING_DUE, ENDING, (requested.finish_closing, do.hang_up)),
    Row(CONNECTED, On.ACT_SEND_DTMF, CONNECTED, (requested.send_dtmf,), when=requested.phone_caller),
    Row(CONNECTED, On.SEND_DTMF_REFUSED, CONNECTED, (requested.dtmf_failed,)),
    Row(CONNECTED, On.SEND_DTMF_GONE, ENDED, (requested.dtmf_failed, do.set_end_reason_from_event)),
    Row(CONNECTED, On.DTMF_SENT, CONNECTED, (requested.dtmf_sent,), when=requested.dtmf_awaited),
    Row(CONNECTED, On.DTMF_FAILED, CONNECTED, (requested.dtmf_failed,), when=requested.dtmf_awaited),
    Row(CONNECTED, On.TONES_DUE, CONNECTED, (requested.give_up_tones,)),
    Row(CONNECTED, On.ACT_NOTE, CONNECTED, (requested.note,), when=requested.valid),
    Row(CONNECTED, On.ACT_DISPOSITION, CONNECTED, (requested.note,), when=requested.valid),
    Row(CONNECTED, On.CALL_DISCONNECTED, ENDED, (do.set_end_reason_from_event,)),
    # -- the voice session is lost; the call is transferred to human agents
    Row(
        TRANSFERRING,
        On.TRANSFER_ACCEPTED,
        ENDING,
        (set_end_reason("transferred"), do.await_end),
        when=do.transfer_requested,
    ),
    Row(
        TRANSFERRING,
        On.TRANSFER_FAILED,
        ENDING,
        (set_end_reason("not_transferred"), do.apologize),
        when=do.transfer_requested,
    ),
    Row(TRANSFERRING, On.TRANSFER_REFUSED, ENDING, (set_end_reason("not_transferred"), do.apologize)),
    Row(TRANSFERRING, On.TRANSFER_DUE, ENDING, (set_end_reason("not_transferred"), do.apologize)),
    Row(TRANSFERRING, On.TRANSFER_GONE, ENDED, (do.set_end_reason_from_event,)),
    Row(TRANSFERRING, On.CALL_DISCONNECTED, ENDED, (set_end_reason("transferred"),), when=do.left_by_transfer),
    Row(TRANSFERRING, On.CALL_DISCONNECTED, ENDED, (do.set_end_reason_from_event,)),
    Row(TRANSFERRING, On.LENGTH_DUE, ENDING, (set_end_reason("too_long"), do.hang_up)),
    Row(TRANSFERRING, On.RESTORED, TRANSFERRING, (do.adopt_outbox,)),
    Row(TRANSFERRING, On.HANG_UP, ENDING, (do.set_end_reason_from_event, do.hang_up)),
    # -- hanging up: only once ACS has returned the connection id, again when it reports the call as connected, because
    #    it refuses to hang up earlier (400/8501), and repeatedly until the call is known to be gone
    Row(ENDING, On.ANSWER_DONE, ENDING, (do.note_connection, do.hang_up), when=do.connection_new),
    Row(ENDING, On.ANSWER_GONE, ENDED),
    Row(ENDING, On.ANSWER_REFUSED, ENDED),
    Row(ENDING, On.ANSWER_FAILED, ENDED),
    Row(ENDING, On.CALL_CONNECTED, ENDING, (do.note_connected, do.hang_up), when=do.not_connected_yet),
    Row(ENDING, On.CALL_DISCONNECTED, ENDED, (do.note_connection,)),
    Row(ENDING, On.HANG_UP_DONE, ENDING, (do.await_end,)),
    Row(ENDING, On.HANG_UP_REFUSED, ENDING, (do.hang_up_later,)),
    Row(ENDING, On.HANG_UP_GONE, ENDED),
    Row(ENDING, On.HANG_UP, ENDING, (do.hang_up,), when=do.apologizing),
    Row(ENDING, On.APOLOGY_DUE, ENDING, (do.hang_up,)),
    Row(ENDING, On.ENDING_DUE, ENDED, (requested.abandon,), when=do.hang_up_abandoned),
    Row(ENDING, On.ENDING_DUE, ENDING, (do.hang_up,), when=do.hang_up_unconfirmed),
    Row(ENDING, On.ENDING_DUE, ENDED),
    Row(ENDING, On.ACT_NOTE, ENDING, (requested.note,), when=requested.valid_wrap_up),
    Row(ENDING, On.ACT_DISPOSITION, ENDING, (requested.note,), when=requested.valid_wrap_up),
    # -- redirecting or rejecting the caller
    Row(DIVERTING, On.REDIRECT_DONE, ENDED),
    Row(DIVERTING, On.REDIRECT_GONE, ENDED),
    Row(DIVERTING, On.REDIRECT_REFUSED, DIVERTING, (do.reject,)),
    Row(DIVERTING, On.REJECT_DONE, ENDED),
    Row(DIVERTING, On.REJECT_GONE, ENDED),
    Row(DIVERTING, On.REJECT_REFUSED, ENDED),
    Row(DIVERTING, On.CALL_CONNECTED, ENDING, (do.note_connected, do.hang_up), when=do.answer_requested),
    Row(DIVERTING, On.CALL_DISCONNECTED, ENDED, (do.note_connection,)),
    Row(DIVERTING, On.ANSWER_FAILED, ENDED),
    Row(DIVERTING, On.ENDING_DUE, ENDED),
    # -- ended; but a late answer by ACS must not leave the caller on a silent line
    Row(ENDED, On.ANSWER_DONE, ENDED, (do.note_connection, do.hang_up), when=do.connection_new),
    Row(ENDED, On.CALL_CONNECTED, ENDED, (do.note_connected, do.hang_up), when=do.answer_requested),
    Row(ENDED, On.HANG_UP_DONE, ENDED, (do.await_end,), when=do.hang_up_unconfirmed),
    Row(ENDED, On.HANG_UP_REFUSED, ENDED, (do.hang_up_later,), when=do.hang_up_unconfirmed),
    Row(ENDED, On.HANG_UP_GONE, ENDED, (do.forget_hang_up,), when=do.hang_up_unconfirmed),
    Row(ENDED, On.ENDING_DUE, ENDED, (do.forget_hang_up,), when=do.hang_up_abandoned),
    Row(ENDED, On.ENDING_DUE, ENDED, (do.hang_up,), when=do.hang_up_unconfirmed),
    Row(ENDED, On.ACT_NOTE, ENDED, (requested.note,), when=requested.valid_wrap_up),
    Row(ENDED, On.ACT_DISPOSITION, ENDED, (requested.note,), when=requested.valid_wrap_up),
)

_ROWS: Final[dict[tuple[Status, On], tuple[Row, ...]]] = {
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
    if isinstance(command, StartMediaStreaming | StopMediaStreaming) and not media.restart_wanted(record, command):
        return False
    if isinstance(command, SendDtmf) and not requested.tones_wanted(record, command):
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
