"""Guards and actions of the call machine's table. Guards read the call record; actions change the transition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import HangUp as HangUpRequest
from bridge_common.wire.entries import VoiceLost
from call_control.core.events.callbacks import AcsEvent, with_connection
from call_control.core.machine.call_commands import (
    Answer,
    FindRelay,
    HangUp,
    LookUp,
    Redirect,
    Reject,
    SetTimer,
    Transfer,
)
from call_control.core.machine.call_events import CallEvent, CommandDone, CommandFailed, EventKind
from call_control.core.machine.call_people import JOINED, RINGING, acs_id_of_caller, people_in
from call_control.core.machine.transition import CallPolicy, Transition, armed
from call_control.core.policy.routing import Redirected, Rejected, Routed

Guard: TypeAlias = Callable[[CallRecord, CallEvent, CallPolicy], bool]
Action: TypeAlias = Callable[[Transition, CallEvent], None]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the call machine's table."""

    at: Status
    on: EventKind
    to: Status
    do: tuple[Action, ...] = ()
    when: Guard | None = None


CALLER_HUNG_UP: Final = frozenset(
    {
        *(560000, 540000),  # phone: the SIP leg to or from the caller ended normally
        *(
            5001,
            5002,
            5010,
            5020,
        ),  # ended for all; all others left; one participant remains; only hidden participants remain
        5007,  # the initiator of the call left
        *(18503, 4097, 4521),  # call of two: the other left; the other ended it; the other vanished
    }
)
"""Sub codes of `CallDisconnected` when the remote party left (ACS docs, "Call end codes"; real callbacks). Phone
callers get the first two, users of ACS and Teams the others. Not included: 5000 and 5300 (we were removed), 7000 (we
ended the call).
"""

HANG_UP_PAUSES_MS: Final = (1_000, 30_000)
"""Shortest and longest pause between repeated hang-ups."""
TRANSFERRED: Final = (200, 7015)
"""Code and sub code of `CallDisconnected` when a transfer is complete (ACS docs, "Call end codes")."""


def decision_of(event: CallEvent) -> CallEvent:
    """Return the decision in a route, and any other event unchanged."""
    return event.decision if isinstance(event, Routed) else event


# -- guards -----------------------------------------------------------------------------------------------------------
def new(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return record.command_seq == 0


def connection_new(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if ACS returned an unknown connection id: no callback arrived before, or only one of another call."""
    return isinstance(event, CommandDone) and event.connection_id not in ("", record.connection_id)


def not_connected_yet(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return record.connected_ms == 0


def answer_requested(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if call-control has requested the answer. Otherwise ACS cannot have connected this call, and the connection
    of the callback belongs to another call.
    """
    return record.answered_ms > 0 and not_connected_yet(record, event, policy)


def voice_current(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the event is about the current voice session, and no later relay has opened a session since."""
    return not isinstance(event, VoiceLost) or event.epoch >= record.voice_epoch


def can_transfer(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    known = policy.transfer_target not in ("", record.callee) and record.connection_id != ""
    return voice_current(record, event, policy) and known


def fleet_full(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return isinstance(event, CommandDone) and event.state == FindRelay.FULL


def unclaimed(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return isinstance(event, CommandDone) and event.state == FindRelay.UNCLAIMED


def transfer_requested(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    wait = armed(record, SetTimer.TRANSFER)
    return isinstance(event, AcsEvent) and wait is not None and event.operation_context in ("", wait.operation)


def left_by_transfer(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if ACS disconnected our leg because the transfer is complete. `CallTransferAccepted`, which also reports
    this, may be lost.
    """
    return transfer_requested(record, event, policy) and isinstance(event, AcsEvent) and _end_of(event) == TRANSFERRED


def apologizing(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return armed(record, SetTimer.APOLOGY) is not None


def first_deadline(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    timer = armed(record, SetTimer.CONNECT)
    return timer is not None and not timer.last and record.connection_id != ""


def hang_up_unconfirmed(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if a hang-up was requested, and the call is not known to be gone."""
    return record.hang_up_ms > 0 and record.connection_id != "" and armed(record, SetTimer.ENDING) is not None


def hang_up_abandoned(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the hang-up has been repeated for as long as a call can last."""
    timer, until_ms = armed(record, SetTimer.ENDING), record.hang_up_ms + policy.hang_up_patience_ms
    return hang_up_unconfirmed(record, event, policy) and timer is not None and timer.due_ms >= until_ms


def looked_up_connected(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    return isinstance(event, CommandDone) and event.state.lower() == "connected"


# -- actions: the voice session ---------------------------------------------------------------------------------------
def await_claim(transition: Transition, event: CallEvent) -> None:
    transition.arm(SetTimer.CLAIM, transition.policy.claim_ms)


def find_relay(transition: Transition, event: CallEvent) -> None:
    transition.issue(FindRelay)


def note_voice(transition: Transition, event: CallEvent) -> None:
    transition.disarm(SetTimer.WAIT, SetTimer.PLACE, SetTimer.VOICE, SetTimer.CLAIM)
    transition.record = replace(transition.record, voice_ready=True)


def adopt_outbox(transition: Transition, event: CallEvent) -> None:
    transition.adopt_outbox()


# -- actions: answer, divert, hang up ---------------------------------------------------------------------------------
def answer(transition: Transition, event: CallEvent) -> None:
    transition.issue(Answer)
    transition.record = replace(transition.record, answered_ms=transition.now_ms)
    transition.arm(SetTimer.CONNECT, transition.policy.connect_ms)


def divert(transition: Transition, event: CallEvent) -> None:
    """Redirect to human agents if a target is set and is not the called party; otherwise reject as busy."""
    if transition.policy.redirect_target not in ("", transition.record.callee):
        transition.issue(Redirect, target=transition.policy.redirect_target)
    else:
        transition.issue(Reject, reason="busy")
    transition.arm(SetTimer.ENDING, transition.policy.diverting_ms)


def redirect(transition: Transition, event: CallEvent) -> None:
    decision = decision_of(event)
    if isinstance(decision, Redirected):
        transition.issue(Redirect, target=decision.target)
    transition.arm(SetTimer.ENDING, transition.policy.diverting_ms)


def reject(transition: Transition, event: CallEvent) -> None:
    decision = decision_of(event)
    transition.issue(Reject, reason=decision.reason if isinstance(decision, Rejected) else "busy")
    transition.arm(SetTimer.ENDING, transition.policy.diverting_ms)


def hang_up(transition: Transition, event: CallEvent) -> None:
    """Hang up immediately if the connection is known, otherwise as soon as it becomes known.

    The request is repeated until the call is known to be gone: ACS may refuse it, and the callback may be lost. If the
    call is gone, ACS answers the repetition with 404.
    """
    transition.disarm(SetTimer.APOLOGY)
    if not transition.record.hang_up_ms:
        transition.record = replace(transition.record, hang_up_ms=transition.now_ms)
    if transition.record.connection_id:
        transition.issue(HangUp)
        transition.arm(SetTimer.ENDING, transition.policy.hang_up_ms)
    else:
        transition.arm(SetTimer.ENDING, transition.policy.ending_ms)


def hang_up_later(transition: Transition, event: CallEvent) -> None:
    """Repeat the hang-up after a pause, which grows with the time since the first request."""
    shortest_ms, longest_ms = HANG_UP_PAUSES_MS
    since_ms = transition.now_ms - transition.record.hang_up_ms
    transition.arm(SetTimer.ENDING, min(max(since_ms // 2, shortest_ms), longest_ms))


def forget_hang_up(transition: Transition, event: CallEvent) -> None:
    transition.disarm(SetTimer.ENDING)


def transfer(transition: Transition, event: CallEvent) -> None:
    """Transfer to human agents. The caller hears a hold tone meanwhile."""
    others = people_in(transition.record, RINGING, JOINED)
    transferee = acs_id_of_caller(transition.record) if others else ""
    command = transition.issue(Transfer, target=transition.policy.transfer_target, transferee=transferee)
    transition.disarm(SetTimer.VOICE)
    transition.arm(SetTimer.TRANSFER, transition.policy.transfer_ms, operation=command.operation_context)


def await_end(transition: Transition, event: CallEvent) -> None:
    """Wait until ACS disconnects our leg of the call."""
    transition.arm(SetTimer.ENDING, transition.policy.ending_ms)


def apologize(transition: Transition, event: CallEvent) -> None:
    """Let the gateway play an apology and then request the hang-up, if media is up."""
    if transition.record.media_seen:
        transition.arm(SetTimer.APOLOGY, transition.policy.apology_ms)
    else:
        hang_up(transition, event)


def look_up(transition: Transition, event: CallEvent) -> None:
    """Fetch the call state from ACS, because the callback may be lost. The deadline is a third of the first one."""
    transition.issue(LookUp)
    transition.arm(SetTimer.CONNECT, transition.policy.connect_ms // 3, last=True)


# -- actions: connection ----------------------------------------------------------------------------------------------
def note_connection(transition: Transition, event: CallEvent) -> None:
    if isinstance(event, CommandDone | AcsEvent):
        transition.record = with_connection(transition.record, event.connection_id)


def note_connected(transition: Transition, event: CallEvent) -> None:
    note_connection(transition, event)
    transition.record = replace(transition.record, connected_ms=transition.now_ms)


def _end_of(event: AcsEvent) -> tuple[int, int]:
    return event.code, event.sub_code


# -- actions: end reason ----------------------------------------------------------------------------------------------
def set_end_reason(reason: str) -> Action:
    def note_reason(transition: Transition, event: CallEvent) -> None:
        note_end(transition, reason)

    note_reason.__name__ = f"set_end_reason_{reason}"
    return note_reason


def set_end_reason_from_event(transition: Transition, event: CallEvent) -> None:
    match decision_of(event):
        case AcsEvent(sub_code=sub_code) if sub_code in CALLER_HUNG_UP:
            note_end(transition, "caller_hung_up")
        case AcsEvent(type=name, code=code, sub_code=sub_code):
            note_end(transition, f"{name}_{code}_{sub_code}")
        case Rejected(end_reason=reason):
            note_end(transition, reason)
        case HangUpRequest(by=by):
            note_end(transition, f"hung_up_by_{by}")
        case CommandFailed(code=code):
            note_end(transition, f"acs_{code}")
        case _:
            note_end(transition, "ended")


def note_end(transition: Transition, reason: str) -> None:
    """Set the end reason if none is set: later reasons are consequences of the first."""
    if not transition.record.end_reason:
        transition.record = replace(transition.record, end_reason=reason)
