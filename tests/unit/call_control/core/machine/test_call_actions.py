"""Guards and actions that the tests of the table do not cover."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import HangUp, MediaOpen, VoiceLost
from call_control.core.events.callbacks import AcsEvent
from call_control.core.machine import call_actions as do
from call_control.core.machine.call_commands import AnyCommand, Redirect, Reject
from call_control.core.machine.call_events import CallEvent, CommandFailed
from call_control.core.machine.call_machine import apply
from call_control.core.machine.transition import CallPolicy, Transition
from call_control.core.policy.routing import Rejected

CALL = "call_0123456789abcdef01234567"
RULES = CallPolicy()
CONNECTED = CallRecord(call_id=CALL, status=Status.CONNECTED, uplink_epoch=10)


def transition_of(record: CallRecord = CONNECTED) -> Transition:
    return Transition(before=record, policy=RULES, now_ms=100, cause="1-0", record=record)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        *[
            (AcsEvent("1", "CallDisconnected", "c", code=code, sub_code=sub_code), "caller_hung_up")
            for code in (0, 200)
            for sub_code in (560000, 540000, 5001, 5002, 5007, 5010, 5020, 18503, 4097, 4521)
        ],
        (AcsEvent("1", "CallDisconnected", "c", code=200, sub_code=5300), "CallDisconnected_200_5300"),
        (AcsEvent("1", "CallDisconnected", "c", code=200, sub_code=7000), "CallDisconnected_200_7000"),
        (AcsEvent("1", "CallDisconnected", "c", code=486, sub_code=560486), "CallDisconnected_486_560486"),
        (Rejected("busy"), "rejected"),
        (Rejected("none", "on_behalf_of_callee"), "on_behalf_of_callee"),
        (AcsEvent("1", "CallDisconnected", "c", code=0, sub_code=7000), "CallDisconnected_0_7000"),
        (HangUp(CALL, "agent", "said goodbye"), "hung_up_by_agent"),
        (CommandFailed(1, "stale_context", gone=True), "acs_stale_context"),
        (MediaOpen(CALL, 1), "ended"),
    ],
)
def test_reasons(event: CallEvent, reason: str) -> None:
    transition = transition_of()
    do.set_end_reason_from_event(transition, event)
    assert transition.record.end_reason == reason


@pytest.mark.parametrize(
    ("end", "status", "reason"),
    [
        ((200, 7015), Status.TRANSFERRING, "transferred"),
        ((200, 560000), Status.TRANSFERRING, "caller_hung_up"),
        ((500, 7015), Status.TRANSFERRING, "CallDisconnected_500_7015"),
        ((200, 7015), Status.CONNECTED, "CallDisconnected_200_7015"),
    ],
)
def test_only_a_call_that_was_being_transferred_ends_as_transferred(
    end: tuple[int, int], status: Status, reason: str
) -> None:
    record = replace(CONNECTED, connection_id="c")
    if status is Status.TRANSFERRING:
        record = apply(record, VoiceLost(CALL, 2**62, "gone"), 100, CallPolicy(transfer_target="4:+1"), "1-0").record
    assert record.status is status
    applied = apply(record, AcsEvent("1", "CallDisconnected", "c", code=end[0], sub_code=end[1]), 200, RULES, "2-0")
    assert (applied.record.status, applied.record.end_reason) == (Status.ENDED, reason)


@pytest.mark.parametrize(
    ("target", "command"), [("4:+18005550000", Redirect), ("4:+18005551212", Reject), ("", Reject)]
)
def test_no_call_is_diverted_to_the_called_number(target: str, command: type[AnyCommand]) -> None:
    """A call that is diverted to the called number would arrive here again, in an endless loop."""
    ringing = CallRecord(call_id=CALL, status=Status.RINGING, callee="4:+18005551212")
    transition = replace(transition_of(ringing), policy=CallPolicy(redirect_target=target))
    do.divert(transition, MediaOpen(CALL, 1))
    assert isinstance(transition.issued[0], command)


def test_the_first_reason_stays() -> None:
    transition = transition_of()
    do.set_end_reason("voice_lost")(transition, MediaOpen(CALL, 1))
    do.set_end_reason_from_event(transition, HangUp(CALL, "operator", ""))
    assert transition.record.end_reason == "voice_lost"
