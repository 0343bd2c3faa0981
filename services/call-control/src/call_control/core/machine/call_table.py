"""The table of the call machine: which event leads to which status and actions."""

from __future__ import annotations

from typing import Final

from bridge_common.wire.call_record import Status
from call_control.core.machine import call_actions as do
from call_control.core.machine import inferred_end as end
from call_control.core.machine import media_actions as media
from call_control.core.machine import requested_actions as requested
from call_control.core.machine import waiting_actions as wait
from call_control.core.machine.call_actions import Row, set_end_reason
from call_control.core.machine.call_events import EventKind as On
from call_control.core.machine.people_rows import PEOPLE_ROWS

RINGING, ANSWERING, CONNECTED = Status.RINGING, Status.ANSWERING, Status.CONNECTED
TRANSFERRING, ENDING, DIVERTING, ENDED = Status.TRANSFERRING, Status.ENDING, Status.DIVERTING, Status.ENDED

_UNTIL_CONNECTED: Final[tuple[Row, ...]] = (
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
    Row(ANSWERING, On.STREAMING_FAILED, ANSWERING, (media.await_redial,), when=media.never_open),
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
)

_FROM_CONNECTED: Final[tuple[Row, ...]] = (
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
    Row(CONNECTED, On.WARNING_DUE, CONNECTED, (requested.warn_of_end,), when=requested.not_closing),
    Row(CONNECTED, On.LENGTH_DUE, CONNECTED, (requested.begin_closing,), when=requested.not_closing),
    Row(CONNECTED, On.LENGTH_DUE, CONNECTED, (requested.await_goodbye,)),
    Row(CONNECTED, On.HANG_UP, ENDING, (do.set_end_reason_from_event, do.hang_up)),
    Row(CONNECTED, On.ACT_HANG_UP, CONNECTED, (requested.begin_closing,), when=requested.not_closing),
    Row(CONNECTED, On.ACT_HANG_UP, CONNECTED, (requested.join_closing,), when=requested.valid),
    Row(CONNECTED, On.GOODBYE_OVER, CONNECTED, (requested.continue_call,), when=requested.caller_goes_on),
    Row(CONNECTED, On.GOODBYE_OVER, ENDING, (requested.finish_closing, do.hang_up), when=requested.closing),
    Row(CONNECTED, On.CLOSING_DUE, ENDING, (requested.finish_closing, do.hang_up)),
    Row(CONNECTED, On.ACT_SEND_DTMF, CONNECTED, (requested.send_dtmf,), when=requested.phone_caller),
    Row(CONNECTED, On.SEND_DTMF_REFUSED, CONNECTED, (requested.dtmf_failed,)),
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
    Row(TRANSFERRING, On.TRANSFER_GONE, TRANSFERRING, (end.confirm,)),
    Row(TRANSFERRING, On.LOOK_UP_DONE, ENDING, (set_end_reason("not_transferred"), do.apologize), when=end.confirms),
    Row(TRANSFERRING, On.LOOK_UP_GONE, ENDED, (do.set_end_reason_from_event,), when=end.confirms),
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
    # ACS has accepted a transfer, and our leg has not ended: the call is looked up, and hung up if it lives.
    Row(ENDING, On.ENDING_DUE, ENDING, (end.look_up_transferred,), when=end.not_looked_up),
    Row(ENDING, On.ENDING_DUE, ENDING, (do.hang_up,), when=end.transfer_believed),
    Row(ENDING, On.LOOK_UP_DONE, ENDING, (do.hang_up,), when=end.not_at_acs),
    Row(ENDING, On.LOOK_UP_GONE, ENDED, (), when=end.transfer_believed),
    Row(ENDING, On.TRANSFER_FAILED, ENDING, (end.note_failed, do.hang_up), when=end.transfer_believed),
    Row(ENDING, On.ENDING_DUE, ENDED),
    # A relay can restore the record before it learns that the call has ended.
    Row(ENDING, On.RESTORED, ENDING, (do.adopt_outbox,)),
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
    Row(DIVERTING, On.RESTORED, DIVERTING, (do.adopt_outbox,)),
    Row(DIVERTING, On.ENDING_DUE, ENDED),
    # -- ended; but a late answer by ACS must not leave the caller on a silent line
    Row(ENDED, On.ANSWER_DONE, ENDED, (do.note_connection, do.hang_up), when=do.connection_new),
    Row(ENDED, On.CALL_CONNECTED, ENDED, (do.note_connected, do.hang_up), when=do.answer_requested),
    *(
        Row(ENDED, on, ENDED, (do.hang_up,), when=end.unconfirmed)
        for on in (On.ROSTER, On.ADDED, On.TRANSFER_FAILED, On.TONE, On.DTMF_SENT)
    ),
    Row(ENDED, On.HANG_UP_DONE, ENDED, (do.await_end,), when=do.hang_up_unconfirmed),
    Row(ENDED, On.HANG_UP_REFUSED, ENDED, (do.hang_up_later,), when=do.hang_up_unconfirmed),
    Row(ENDED, On.HANG_UP_GONE, ENDED, (do.forget_hang_up,), when=do.hang_up_unconfirmed),
    Row(ENDED, On.ENDING_DUE, ENDED, (do.forget_hang_up,), when=do.hang_up_abandoned),
    Row(ENDED, On.ENDING_DUE, ENDED, (do.hang_up,), when=do.hang_up_unconfirmed),
    Row(ENDED, On.RESTORED, ENDED, (do.adopt_outbox,), when=do.hang_up_unconfirmed),
    Row(ENDED, On.ACT_NOTE, ENDED, (requested.note,), when=requested.valid_wrap_up),
    Row(ENDED, On.ACT_DISPOSITION, ENDED, (requested.note,), when=requested.valid_wrap_up),
)

TABLE: Final = (*PEOPLE_ROWS, *_UNTIL_CONNECTED, *_FROM_CONNECTED)
"""The first matching row applies. Rows of transfers and participants precede the others: their guards require one."""
