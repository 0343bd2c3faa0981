"""Guards and actions of the call machine's table for a call that is gone by what ACS has answered, not by a callback.

A single 404 is not believed: ACS answers it for participants and operations, too, and a call that is given up while it
lives leaves its caller on a silent line. Only a 404 to the request for the call itself ends the record.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from bridge_common.wire.call_record import CallRecord
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine.action_book import find_action, with_action
from call_control.core.machine.call_commands import Leave, LookUp, SetTimer, Transfer
from call_control.core.machine.call_events import CallEvent, CommandDone, CommandFailed
from call_control.core.machine.transfer_actions import AT_ACS, UNREPORTED
from call_control.core.machine.transition import CallPolicy, Transition, armed, awaited
from call_control.core.machine.unreached import reason_of

FETCH_PAUSE_MS: Final = 2_000
_GONE: Final = "acs_gone"
_TRANSFERRED: Final = "transferred"


# -- guards -----------------------------------------------------------------------------------------------------------
def confirms(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True for the result of the request that confirms a 404."""
    return _refused_command(record, event) != ""


def confirms_transfer(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the 404 was the answer to a transfer, or to a request to leave."""
    return _refused_command(record, event) in (Transfer.__name__, Leave.__name__)


def gone_before_transfer(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if the call was gone before ACS could execute the transfer."""
    return _refused_command(record, event) == Transfer.__name__


def gone_without_transfer(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    is_leave = _refused_command(record, event) == Leave.__name__
    return confirms(record, event, policy) and not is_leave and armed(record, SetTimer.TRANSFER) is None


def unconfirmed(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if ACS has not reported the end of the call, which no request to hang up has ended."""
    if record.hang_up_ms or not record.connection_id:
        return False
    action = next((one for one in record.actions if one.reason == UNREPORTED), None)
    return record.end_reason == _GONE or (record.end_reason == _TRANSFERRED and action is not None)


def transfer_believed(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if `CallTransferAccepted` is the only report of the end."""
    return record.end_reason == _TRANSFERRED and not record.hang_up_ms and record.connection_id != ""


def not_looked_up(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    timer = armed(record, SetTimer.ENDING)
    return transfer_believed(record, event, policy) and timer is not None and not timer.last


def not_at_acs(record: CallRecord, event: CallEvent, policy: CallPolicy) -> bool:
    """True if ACS no longer transfers the call, and still has it."""
    is_over = isinstance(event, CommandDone) and event.state.lower() not in AT_ACS
    return is_over and transfer_believed(record, event, policy)


# -- actions ----------------------------------------------------------------------------------------------------------
def confirm(transition: Transition, event: CallEvent) -> None:
    """Fetch the state of the call, once for answers that follow each other closely."""
    refused = awaited(transition.before, event.seq) if isinstance(event, CommandFailed) else None
    if any(item.kind == LookUp.__name__ for item in transition.record.pending) and not isinstance(refused, Transfer):
        fetch_after_pause(transition, event)
    elif refused is not None:
        transition.issue(LookUp, confirms=type(refused).__name__)


def fetch_after_pause(transition: Transition, event: CallEvent) -> None:
    """Fetch the participants soon: the call lives, or its state is not known."""
    transition.arm_by(SetTimer.ROSTER, FETCH_PAUSE_MS)


def look_up_transferred(transition: Transition, event: CallEvent) -> None:
    transition.issue(LookUp)
    transition.arm(SetTimer.ENDING, transition.policy.ending_ms, last=True)


def note_failed(transition: Transition, event: CallEvent) -> None:
    """Note that the transfer which ACS had accepted has failed."""
    record = replace(transition.record, end_reason="not_transferred")
    action = find_action(record, record.transfer)
    if action is not None and isinstance(event, AcsEvent):
        failed = replace(action, state="failed", reason=reason_of(event.code, event.sub_code))
        record = with_action(record, failed)
    transition.record = record


def _refused_command(record: CallRecord, event: CallEvent) -> str:
    """Return the name of the command that ACS answered with 404."""
    command = awaited(record, event.seq) if isinstance(event, CommandDone | CommandFailed) else None
    return command.confirms if isinstance(command, LookUp) else ""
