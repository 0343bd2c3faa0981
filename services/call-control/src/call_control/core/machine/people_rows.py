"""Rows of the call machine's table for transfers and participants (ADR 44). They precede the other rows: most of their
guards require a transfer or a participant.
"""

from __future__ import annotations

from typing import Final

from bridge_common.wire.call_record import Status
from call_control.core.machine import call_actions as do
from call_control.core.machine import inferred_end as end
from call_control.core.machine import media_actions as media
from call_control.core.machine import participant_actions as people
from call_control.core.machine import requested_actions as requested
from call_control.core.machine import roster_actions as roster
from call_control.core.machine import roster_events as hints
from call_control.core.machine import transfer_actions as transfer
from call_control.core.machine import transfer_stages as stages
from call_control.core.machine import unattended_actions as no_agent
from call_control.core.machine import waiting_actions as wait
from call_control.core.machine.call_actions import Row, set_end_reason
from call_control.core.machine.call_events import EventKind as On

RINGING, ANSWERING, CONNECTED = Status.RINGING, Status.ANSWERING, Status.CONNECTED
TRANSFERRING, ENDING, ENDED = Status.TRANSFERRING, Status.ENDING, Status.ENDED

_TRANSFERS: Final[tuple[Row, ...]] = (
    Row(CONNECTED, On.ACT_TRANSFER, CONNECTED, (stages.begin_transfer,), when=people.possible),
    Row(CONNECTED, On.ACT_RETURN, CONNECTED, (people.return_to_agent,), when=people.possible),
    Row(CONNECTED, On.GOODBYE_OVER, CONNECTED, (stages.cancel_interrupted,), when=transfer.words_interrupted),
    Row(CONNECTED, On.GOODBYE_OVER, CONNECTED, (stages.words_over,), when=transfer.words_spoken),
    Row(CONNECTED, On.WORDS_DUE, CONNECTED, (stages.words_over,)),
    Row(CONNECTED, On.SCREENING_OVER, CONNECTED, (stages.screening_over,), when=transfer.screening),
    Row(CONNECTED, On.SCREENING_DUE, CONNECTED, (stages.screening_unreported,), when=roster.already_fetched),
    Row(CONNECTED, On.SCREENING_DUE, CONNECTED, (roster.fetch_participants_again,)),
    Row(CONNECTED, On.TONE, CONNECTED, (transfer.forward_tone,), when=transfer.tone_of_person),
    *(
        Row(CONNECTED, refused, CONNECTED, (transfer.report_refused_tones,), when=transfer.tones_refused)
        for refused in (On.TONES_REFUSED, On.TONES_GONE)  # the person may be gone, not the call
    ),
    # -- the transfer of the caller by ACS: blind, or to the person who has joined
    Row(
        CONNECTED,
        On.TRANSFER_ACCEPTED,
        ENDING,
        (set_end_reason("transferred"), do.hang_up),
        when=transfer.accepted_among_others,
    ),
    Row(
        CONNECTED,
        On.TRANSFER_ACCEPTED,
        ENDING,
        (set_end_reason("transferred"), do.await_end),
        when=do.transfer_requested,
    ),
    Row(CONNECTED, On.TRANSFER_FAILED, CONNECTED, (transfer.not_transferred,), when=do.transfer_requested),
    Row(CONNECTED, On.TRANSFER_REFUSED, CONNECTED, (transfer.not_transferred,), when=transfer.refused),
    Row(CONNECTED, On.TRANSFER_DUE, CONNECTED, (transfer.look_up,), when=transfer.first_deadline),
    Row(CONNECTED, On.TRANSFER_DUE, CONNECTED, (transfer.not_transferred, roster.fetch_participants)),
    Row(CONNECTED, On.LOOK_UP_DONE, CONNECTED, (), when=transfer.under_way_at_acs),
    Row(CONNECTED, On.LOOK_UP_DONE, CONNECTED, (transfer.not_transferred,), when=end.confirms_transfer),
    Row(CONNECTED, On.LOOK_UP_DONE, CONNECTED, (end.fetch_after_pause,), when=end.confirms),
    Row(
        CONNECTED,
        On.LOOK_UP_DONE,
        CONNECTED,
        (transfer.not_transferred, roster.fetch_participants),
        when=transfer.awaited,
    ),
    Row(CONNECTED, On.LOOK_UP_GONE, ENDED, (do.set_end_reason_from_event,), when=end.gone_before_transfer),
    Row(CONNECTED, On.LOOK_UP_GONE, ENDED, (do.set_end_reason_from_event,), when=end.gone_without_transfer),
    Row(CONNECTED, On.LOOK_UP_GONE, ENDED, (transfer.note_unreported, set_end_reason("transferred"))),
    Row(CONNECTED, On.LOOK_UP_REFUSED, CONNECTED, (end.fetch_after_pause,), when=end.confirms),
    *(
        Row(CONNECTED, gone, CONNECTED, (end.confirm,))
        for gone in (On.LIST_GONE, On.TRANSFER_GONE, On.LEAVE_GONE, On.START_GONE)
    ),
    Row(CONNECTED, On.SEND_DTMF_GONE, CONNECTED, (requested.dtmf_failed, end.confirm)),
    Row(CONNECTED, On.LEAVE_REFUSED, CONNECTED, (transfer.stay,), when=transfer.refused),
    Row(CONNECTED, On.CALL_DISCONNECTED, ENDED, (set_end_reason("transferred"),), when=transfer.left_as_planned),
    # -- voice session and media during a transfer
    Row(CONNECTED, On.VOICE_LOST, CONNECTED, (transfer.continue_without_voice,), when=transfer.voice_not_needed),
    Row(CONNECTED, On.VOICE_DUE, CONNECTED, (transfer.continue_without_voice,), when=transfer.voice_not_needed),
    Row(CONNECTED, On.VOICE_DUE, ENDING, (requested.finish_closing, do.hang_up), when=requested.closing),
    Row(CONNECTED, On.VOICE_DUE, ENDING, (set_end_reason("voice_lost"), do.apologize), when=transfer.voice_was_lost),
    Row(CONNECTED, On.UPLINK_MISSED, CONNECTED, (media.await_redial,), when=transfer.socket_taken),
    Row(CONNECTED, On.STREAMING_FAILED, CONNECTED, (media.await_redial,), when=transfer.socket_taken),
    Row(CONNECTED, On.STREAMING_FAILED, CONNECTED, (), when=transfer.blind),
    Row(CONNECTED, On.UPLINK_MISSED, CONNECTED, (), when=no_agent.unattended),
    Row(CONNECTED, On.MEDIA_LOST, CONNECTED, (), when=no_agent.unattended),
    Row(CONNECTED, On.STREAMING_FAILED, CONNECTED, (), when=no_agent.unattended),
    Row(CONNECTED, On.STREAMING_STOPPED, CONNECTED, (), when=no_agent.unattended),
    Row(CONNECTED, On.MEDIA_DUE, CONNECTED, (), when=no_agent.unattended),
    Row(CONNECTED, On.MEDIA_DUE, CONNECTED, (media.rest,), when=transfer.media_not_needed),
    # -- the end of the call during a transfer
    Row(
        CONNECTED,
        On.ACT_HANG_UP,
        ENDING,
        (requested.begin_closing, requested.finish_closing, do.hang_up),
        when=no_agent.hang_up_requested,
    ),
    Row(
        CONNECTED,
        On.ACT_HANG_UP,
        CONNECTED,
        (stages.cancel_for_end, requested.begin_closing),
        when=transfer.ends_transfer,
    ),
    Row(
        CONNECTED,
        On.LENGTH_DUE,
        ENDING,
        (set_end_reason("too_long"), do.hang_up),
        when=no_agent.unattended,
    ),
    Row(
        CONNECTED,
        On.LENGTH_DUE,
        CONNECTED,
        (stages.cancel_for_end, requested.begin_closing),
        when=transfer.ends_transfer,
    ),
)

_PARTICIPANTS: Final[tuple[Row, ...]] = (
    Row(CONNECTED, On.ACT_ADD, CONNECTED, (people.add,), when=people.possible),
    Row(CONNECTED, On.ACT_REMOVE, CONNECTED, (people.change,), when=people.possible),
    Row(CONNECTED, On.ACT_HOLD, CONNECTED, (people.change,), when=people.possible),
    Row(CONNECTED, On.ACT_RESUME, CONNECTED, (people.change,), when=people.possible),
    Row(CONNECTED, On.ACT_MUTE, CONNECTED, (people.change,), when=people.possible),
    Row(CONNECTED, On.ADD_DONE, CONNECTED, (roster.note_invitation,), when=roster.invited),
    # An invitation that ACS has sent after the end of its transfer must not ring on.
    *(
        Row(status, On.ADD_DONE, status, (roster.cancel_late,), when=roster.canceled_meanwhile)
        for status in (CONNECTED, TRANSFERRING, ENDING, ENDED)
    ),
    Row(CONNECTED, On.ADD_REFUSED, CONNECTED, (roster.not_invited,), when=roster.invitation_refused),
    Row(CONNECTED, On.ADD_GONE, CONNECTED, (roster.not_invited, roster.fetch_participants), when=roster.invited),
    Row(CONNECTED, On.ADDED, CONNECTED, (roster.join,), when=roster.join_new),
    Row(CONNECTED, On.ADDED, CONNECTED, (roster.fetch_participants_soon,), when=hints.join_of_stranger),
    Row(TRANSFERRING, On.ADDED, TRANSFERRING, (roster.join,), when=roster.join_new),
    Row(CONNECTED, On.ADD_FAILED, CONNECTED, (roster.not_joined,), when=roster.awaited_person),
    Row(CONNECTED, On.CANCELED, CONNECTED, (roster.forget_invitation,), when=roster.cancel_awaited),
    Row(
        CONNECTED,
        On.CANCEL_FAILED,
        CONNECTED,
        (roster.forget_invitation, roster.fetch_participants_soon),
        when=roster.cancel_awaited,
    ),
    Row(CONNECTED, On.RING_DUE, CONNECTED, (roster.ring_over,), when=roster.already_fetched),
    Row(CONNECTED, On.RING_DUE, CONNECTED, (roster.fetch_participants_again,)),
    Row(CONNECTED, On.REMOVED, CONNECTED, (people.removed,), when=people.outcome_awaited),
    Row(CONNECTED, On.REMOVE_FAILED, CONNECTED, (people.failed,), when=people.outcome_awaited),
    Row(CONNECTED, On.HOLD_FAILED, CONNECTED, (people.failed,), when=people.outcome_awaited),
    *(
        Row(CONNECTED, done, CONNECTED, (people.note_accepted, roster.fetch_participants_soon))
        for done in (On.HOLD_DONE, On.UNHOLD_DONE, On.MUTE_DONE)
    ),
    *(
        Row(CONNECTED, refused, CONNECTED, (people.failed, roster.fetch_participants_soon), when=people.refused)
        for refused in (
            *(On.REMOVE_REFUSED, On.HOLD_REFUSED, On.UNHOLD_REFUSED, On.MUTE_REFUSED),
            # The participant may be gone, not the call.
            *(On.REMOVE_GONE, On.HOLD_GONE, On.UNHOLD_GONE, On.MUTE_GONE),
        )
    ),
    # A person who was withdrawn may still ring, or be in the call.
    *(
        Row(CONNECTED, failed, CONNECTED, (end.fetch_after_pause,), when=roster.person_withdrawn)
        for failed in (On.REMOVE_FAILED, On.REMOVE_REFUSED, On.REMOVE_GONE, On.CANCEL_ADD_REFUSED, On.CANCEL_ADD_GONE)
    ),
    Row(CONNECTED, On.ADD_FAILED, CONNECTED, (roster.forget_invitation,), when=roster.cancel_awaited),
    Row(CONNECTED, On.PEOPLE_DUE, CONNECTED, (people.give_up,), when=roster.already_fetched),
    Row(CONNECTED, On.PEOPLE_DUE, CONNECTED, (roster.fetch_participants_again,)),
    # -- the list of participants
    Row(CONNECTED, On.ROSTER, CONNECTED, (hints.note_listed, roster.fetch_participants_soon), when=hints.people_matter),
    Row(CONNECTED, On.ROSTER, CONNECTED, (hints.note_listed,), when=hints.caller_first_listed),
    Row(CONNECTED, On.RESTORED, CONNECTED, (do.adopt_outbox, hints.fetch_after_loss)),
    Row(CONNECTED, On.ROSTER_DUE, CONNECTED, (roster.fetch_participants,)),
    Row(CONNECTED, On.LIST_DONE, ENDING, (set_end_reason("caller_hung_up"), do.hang_up), when=roster.caller_gone),
    Row(CONNECTED, On.LIST_DONE, CONNECTED, (roster.confirm_absence,), when=roster.caller_missing),
    Row(CONNECTED, On.LIST_DONE, CONNECTED, (roster.compare_roster,)),
)

_WITHOUT_AGENT: Final[tuple[Row, ...]] = (
    Row(RINGING, On.CONNECT, ANSWERING, (wait.follow_rule, no_agent.note_target, do.answer), when=wait.undecided),
    *(
        Row(RINGING, event, ANSWERING, (no_agent.note_human_agents, do.answer), when=guard)
        for event, guard in (
            (On.WAIT_DUE, no_agent.no_relay_in_time),
            (On.VOICE_DUE, no_agent.not_redirected),
            (On.VOICE_LOST, no_agent.no_voice_left),
            (On.FIND_RELAY_DONE, no_agent.no_relay_free),
        )
    ),
    Row(
        ANSWERING,
        On.CALL_CONNECTED,
        CONNECTED,
        (do.note_connected, no_agent.expect_person, stages.words_over),
        when=no_agent.unattended,
    ),
    Row(
        ANSWERING,
        On.LOOK_UP_DONE,
        CONNECTED,
        (do.note_connected, no_agent.expect_person, stages.words_over),
        when=no_agent.looked_up_unattended,
    ),
)

PEOPLE_ROWS: Final = (*_WITHOUT_AGENT, *_TRANSFERS, *_PARTICIPANTS)
