"""Guards and actions whose answer is not plain from the table's tests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge_common.call_record import CallRecord, Status
from bridge_common.entries import HangUp, MediaLost, MediaOpen
from call_control.core import call_actions as do
from call_control.core.callbacks import AcsEvent
from call_control.core.commands import AnyCommand, Redirect, Reject, SetTimer
from call_control.core.draft import Draft, Rules, armed
from call_control.core.events import CallEvent, CommandFailed
from call_control.core.routing import Rejected

CALL = "call_0123456789abcdef01234567"
RULES = Rules()
CONNECTED = CallRecord(call_id=CALL, status=Status.CONNECTED, uplink_epoch=10)


def draft_of(record: CallRecord = CONNECTED) -> Draft:
    return Draft(before=record, rules=RULES, now_ms=100, cause="1-0", record=record)


def waiting_for_media(lost_epoch: int = 0, operation: str = "") -> CallRecord:
    draft = draft_of()
    draft.arm(SetTimer.MEDIA, 50, lost_epoch=lost_epoch, operation=operation)
    return draft.record


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
    draft = draft_of()
    do.because_told(draft, event)
    assert draft.record.end_reason == reason


@pytest.mark.parametrize(
    ("people", "command"), [("4:+18005550000", Redirect), ("4:+18005551212", Reject), ("", Reject)]
)
def test_nobody_is_diverted_to_the_number_they_called(people: str, command: type[AnyCommand]) -> None:
    """It would ring here again, and again."""
    ringing = CallRecord(call_id=CALL, status=Status.RINGING, callee="4:+18005551212")
    draft = replace(draft_of(ringing), rules=Rules(redirect_target=people))
    do.divert(draft, MediaOpen(CALL, 1))
    assert isinstance(draft.issued[0], command)


def test_the_first_reason_stays() -> None:
    draft = draft_of()
    do.because("voice_lost")(draft, MediaOpen(CALL, 1))
    do.because_told(draft, HangUp(CALL, "operator", ""))
    assert draft.record.end_reason == "voice_lost"


@pytest.mark.parametrize(
    ("record", "epoch", "news"),
    [
        (CONNECTED, 10, True),
        (replace(CONNECTED, media_seen=True), 10, False),
        (waiting_for_media(lost_epoch=9), 10, True),
        (waiting_for_media(lost_epoch=10), 10, False),
    ],
)
def test_which_socket_is_news(record: CallRecord, epoch: int, news: bool) -> None:
    assert do.socket_new(record, MediaOpen(CALL, epoch), RULES) is news


def test_which_loss_counts() -> None:
    assert do.socket_current(CONNECTED, MediaLost(CALL, 10, 1006), RULES)
    assert not do.socket_current(CONNECTED, MediaLost(CALL, 9, 1006), RULES)
    assert not do.socket_current(waiting_for_media(), MediaLost(CALL, 10, 1006), RULES)
    assert do.socket_current_and_waiting(waiting_for_media(), MediaLost(CALL, 10, 1006), RULES)
    assert not do.socket_current_and_waiting(waiting_for_media(lost_epoch=10), MediaLost(CALL, 10, 1006), RULES)


def test_only_the_operation_that_is_waited_for_shortens_the_wait() -> None:
    record = waiting_for_media(operation="Answer-2")
    assert do.operation_waited_for(record, AcsEvent("1", "x", "c", operation_context="Answer-2"), RULES)
    assert not do.operation_waited_for(record, AcsEvent("1", "x", "c", operation_context="Answer-3"), RULES)
    assert not do.operation_waited_for(waiting_for_media(), AcsEvent("1", "x", "c"), RULES)


def test_a_restart_remembers_what_was_lost() -> None:
    draft = draft_of(waiting_for_media(lost_epoch=10))
    do.restart_streaming(draft, MediaOpen(CALL, 0))
    wait = armed(draft.record, SetTimer.MEDIA)
    assert wait is not None
    assert (wait.lost_epoch, wait.operation) == (10, "StartMediaStreaming-1")
