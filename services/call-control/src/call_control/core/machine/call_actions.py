"""Guards and actions of the call machine's table. Guards read the call; actions change the transition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeAlias

from bridge_common.wire.call_record import CallRecord
from bridge_common.wire.entries import HangUp as HangUpAsked
from bridge_common.wire.entries import VoiceLost
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.call_commands import (
    Answer,
    FindRelay,
    HangUp,
    LookUp,
    Offer,
    Redirect,
    Reject,
    SetTimer,
    Transfer,
)
from call_control.core.machine.call_events import CallEvent, CommandDone, CommandFailed
from call_control.core.machine.callback_binding import with_connection
from call_control.core.machine.transition import CallPolicy, Transition, armed
from call_control.core.policy.routing import Accepted, Redirected, Rejected

Guard: TypeAlias = Callable[[CallRecord, CallEvent, CallPolicy], bool]
Action: TypeAlias = Callable[[Transition, CallEvent], None]

CALLER_HUNG_UP: Final = frozenset(
    {
        *(560000, 540000),  # phone: the SIP leg to or from the caller ended normally
        *(5001, 5002, 5010, 5020),  # ended for everyone; all others left; one is left; only hidden ones are left
        5007,  # the initiator of the call left
        *(18503, 4097, 4521),  # call of two: the other left; the other ended it; the other vanished
    }
)
"""Sub codes of `CallDisconnected` when the remote party left (ACS docs, "Call end codes"; real callbacks). Phone
callers get the first two, users of ACS and Teams the others. Not included:
5000 and 5300 (we were removed), 7000 (we ended
the call).
"""

TRANSFERRED: Final = (200, 7015)
"""Code and sub code of `CallDisconnected` when a transfer is complete (ACS docs, "Call end codes")."""


# -- guards -----------------------------------------------------------------------------------------------------------
def new(record: CallRecord, event: CallEvent, rules: CallPolicy) -> bool:
    return record.command_seq == 0


def new_and_at_once(record: CallRecord, event: CallEvent, rules: CallPolicy) -> bool:
    return new(record, event, rules) and rules.answer_at_once


def connection_news(record: CallRecord, event: CallEvent, rules: CallPolicy) -> bool:
    """ACS returns a connection that the record lacks: no callback arrived before, or one of another call did."""
    return isinstance(event, CommandDone) and event.connection_id not in ("", record.connection_id)


def not_connected_yet(record: CallRecord, event: CallEvent, rules: CallPolicy) -> bool:
    return record.connected_ms == 0


def answer_requested(record: CallRecord, event: CallEvent, rules: CallPolicy) -> bool:
    """Without an answer request ACS cannot have connected this call; the callback's connection is another call's."""
    return record.answered_ms > 0 and not_connected_yet(record, event, rules)


def voice_current(record: CallRecord, event: CallEvent, rules: CallPolicy) -> bool:
    """False for a `VoiceLost` from a relay if a later relay has had a voice session since."""
    return not isinstance(event, VoiceLost) or event.epoch >= record.voice_epoch


def people_may_help(record: CallRecord, event: CallEvent, rules: CallPolicy) -> bool:
    known = rules.transfer_target not in ("", record.callee) and record.connection_id != ""
    return voice_current(record, event, rules) and known


def fleet_full(record: CallRecord, event: CallEvent, rules: CallPolicy) -> bool:
    return isinstance(event, CommandDone) and event.state == FindRelay.FULL


def unclaimed(record: CallRecord, event: CallEvent, rules: CallPolicy) -> bool:
    return isinstance(event, CommandDone) and event.state == FindRelay.UNCLAIMED


def transfer_asked(record: CallRecord, event: CallEvent, rules: CallPolicy) -> bool:
    wait = armed(record, SetTimer.TRANSFER)
    return isinstance(event, AcsEvent) and wait is not None and event.operation_context in ("", wait.operation)


def left_by_transfer(record: CallRecord, event: CallEvent, rules: CallPolicy) -> bool:
    """ACS disconnected our leg: the transfer is complete. `CallTransferAccepted` reports the same, but may be lost."""
    return transfer_asked(record, event, rules) and isinstance(event, AcsEvent) and _end_of(event) == TRANSFERRED


def apologizing(record: CallRecord, event: CallEvent, rules: CallPolicy) -> bool:
    return armed(record, SetTimer.APOLOGY) is not None


def first_deadline(record: CallRecord, event: CallEvent, rules: CallPolicy) -> bool:
    timer = armed(record, SetTimer.CONNECT)
    return timer is not None and not timer.last and record.connection_id != ""


def looked_up_connected(record: CallRecord, event: CallEvent, rules: CallPolicy) -> bool:
    return isinstance(event, CommandDone) and event.state.lower() == "connected"


# -- actions: the voice session ---------------------------------------------------------------------------------------
def offer(draft: Transition, event: CallEvent) -> None:
    if isinstance(event, Accepted):
        draft.record = replace(draft.record, profile=event.profile)
    draft.issue(Offer)
    draft.arm(SetTimer.VOICE, draft.rules.voice_ms)
    if not draft.rules.answer_at_once:
        await_claim(draft, event)


def await_claim(draft: Transition, event: CallEvent) -> None:
    draft.arm(SetTimer.CLAIM, draft.rules.claim_ms)


def find_relay(draft: Transition, event: CallEvent) -> None:
    draft.issue(FindRelay)


def note_voice(draft: Transition, event: CallEvent) -> None:
    draft.disarm(SetTimer.VOICE, SetTimer.CLAIM)
    draft.record = replace(draft.record, voice_ready=True)


def adopt_outbox(draft: Transition, event: CallEvent) -> None:
    draft.adopt_outbox()


# -- actions: answer, divert, hang up ---------------------------------------------------------------------------------
def answer(draft: Transition, event: CallEvent) -> None:
    draft.issue(Answer)
    draft.record = replace(draft.record, answered_ms=draft.now_ms)
    draft.arm(SetTimer.CONNECT, draft.rules.connect_ms)


def divert(draft: Transition, event: CallEvent) -> None:
    """Redirect to human agents if a target is set and is not the called party; otherwise reject as busy."""
    if draft.rules.redirect_target not in ("", draft.record.callee):
        draft.issue(Redirect, target=draft.rules.redirect_target)
    else:
        draft.issue(Reject, reason="busy")
    draft.arm(SetTimer.ENDING, draft.rules.diverting_ms)


def redirect(draft: Transition, event: CallEvent) -> None:
    if isinstance(event, Redirected):
        draft.issue(Redirect, target=event.target)
    draft.arm(SetTimer.ENDING, draft.rules.diverting_ms)


def reject(draft: Transition, event: CallEvent) -> None:
    draft.issue(Reject, reason=event.reason if isinstance(event, Rejected) else "busy")
    draft.arm(SetTimer.ENDING, draft.rules.diverting_ms)


def hang_up(draft: Transition, event: CallEvent) -> None:
    """Hang up immediately if the connection is known, otherwise as soon as it becomes known."""
    draft.disarm(SetTimer.APOLOGY)
    if draft.record.connection_id:
        draft.issue(HangUp)
    draft.arm(SetTimer.ENDING, draft.rules.ending_ms)


def transfer(draft: Transition, event: CallEvent) -> None:
    """Transfer to human agents. The caller hears a hold tone meanwhile."""
    asked = draft.issue(Transfer, target=draft.rules.transfer_target)
    draft.disarm(SetTimer.VOICE)
    draft.arm(SetTimer.TRANSFER, draft.rules.transfer_ms, operation=asked.operation_context)


def await_end(draft: Transition, event: CallEvent) -> None:
    """ACS disconnects our leg of the call without a request."""
    draft.arm(SetTimer.ENDING, draft.rules.ending_ms)


def apologize(draft: Transition, event: CallEvent) -> None:
    """The gateway plays an apology if media is up, and requests the hang-up after it."""
    if draft.record.media_seen:
        draft.arm(SetTimer.APOLOGY, draft.rules.apology_ms)
    else:
        hang_up(draft, event)


def hang_up_stray(draft: Transition, event: CallEvent) -> None:
    """ACS connected a call that has ended here. Without a hang-up the caller would hear silence."""
    draft.issue(HangUp)


def look_up(draft: Transition, event: CallEvent) -> None:
    """Query ACS for the call state, because the callback may be lost. The deadline is a third of the first one."""
    draft.issue(LookUp)
    draft.arm(SetTimer.CONNECT, draft.rules.connect_ms // 3, last=True)


# -- actions: connection ----------------------------------------------------------------------------------------------
def note_connection(draft: Transition, event: CallEvent) -> None:
    if isinstance(event, CommandDone | AcsEvent):
        draft.record = with_connection(draft.record, event.connection_id)


def note_connected(draft: Transition, event: CallEvent) -> None:
    note_connection(draft, event)
    draft.record = replace(draft.record, connected_ms=draft.now_ms)


def _end_of(event: AcsEvent) -> tuple[int, int]:
    return event.code, event.sub_code


# -- actions: end reason ----------------------------------------------------------------------------------------------
def because(reason: str) -> Action:
    def note_reason(draft: Transition, event: CallEvent) -> None:
        note_end(draft, reason)

    note_reason.__name__ = f"because_{reason}"
    return note_reason


def because_told(draft: Transition, event: CallEvent) -> None:
    """Set the end reason from the event."""
    match event:
        case AcsEvent(sub_code=sub_code) if sub_code in CALLER_HUNG_UP:
            note_end(draft, "caller_hung_up")
        case AcsEvent(type=name, code=code, sub_code=sub_code):
            note_end(draft, f"{name}_{code}_{sub_code}")
        case Rejected(end_reason=reason):
            note_end(draft, reason)
        case HangUpAsked(by=by):
            note_end(draft, f"hung_up_by_{by}")
        case CommandFailed(code=code):
            note_end(draft, f"acs_{code}")
        case _:
            note_end(draft, "ended")


def note_end(draft: Transition, reason: str) -> None:
    """Keep the first reason: later ones are consequences of it."""
    if not draft.record.end_reason:
        draft.record = replace(draft.record, end_reason=reason)
