"""Media streaming of a call: lost, missing or stopped, and restarted until it works or `media_patience_ms` is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import MediaLost, MediaOpen, UplinkMissed
from call_control.core.machine import call_commands
from call_control.core.machine import media_actions as media
from call_control.core.machine.call_commands import SetTimer
from call_control.core.machine.call_machine import still_wanted
from call_control.core.machine.transition import CallPolicy, Transition
from tests.unit.support.call_life import CALL, CONNECTION, RULES, Life, answering, callback, connected, talking

CONNECTED = CallRecord(call_id=CALL, status=Status.CONNECTED, uplink_epoch=10, media_lost_ms=100)
START = ["SetTimer media", "StartMediaStreaming"]
AGAIN = ["SetTimer media", "StopMediaStreaming", "StartMediaStreaming"]
UNREQUESTED = ("", "Answer-2", "StartMediaStreaming-90")
"""Possible contexts of a callback without a request; the real one is not documented."""


def waiting_for_media(lost_epoch: int = 0) -> CallRecord:
    transition = Transition(before=CONNECTED, policy=RULES, now_ms=100, cause="1-0", record=CONNECTED)
    transition.arm(SetTimer.MEDIA, 50, lost_epoch=lost_epoch)
    return transition.record


@pytest.mark.parametrize(
    ("record", "epoch", "is_new"),
    [
        (CONNECTED, 10, True),
        (replace(CONNECTED, media_seen=True), 10, False),
        (waiting_for_media(lost_epoch=9), 10, True),
        (waiting_for_media(lost_epoch=10), 10, False),
    ],
)
def test_which_socket_is_new(record: CallRecord, epoch: int, is_new: bool) -> None:
    assert media.socket_new(record, MediaOpen(CALL, epoch), RULES) is is_new


def test_which_loss_counts() -> None:
    assert media.socket_current(CONNECTED, MediaLost(CALL, 10, 1006), RULES)
    assert not media.socket_current(CONNECTED, MediaLost(CALL, 9, 1006), RULES)
    assert not media.socket_current(waiting_for_media(), MediaLost(CALL, 10, 1006), RULES)
    assert media.loss_known_better(waiting_for_media(), MediaLost(CALL, 10, 1006), RULES)
    assert not media.loss_known_better(waiting_for_media(), MediaLost(CALL, 9, 1006), RULES)
    assert not media.loss_known_better(waiting_for_media(lost_epoch=10), MediaLost(CALL, 10, 1006), RULES)


# -- beginning of a restart -------------------------------------------------------------------------------------------
def test_a_lost_socket_is_awaited_then_requested() -> None:
    life = talking()
    assert life.on(MediaLost(CALL, 10, 1006)) == ["SetTimer media"]
    assert life.wait().due_ms == life.now_ms + RULES.redial_ms
    assert life.due(SetTimer.MEDIA) == START
    assert life.attach(11) == []
    assert life.record.media_restarts == 0
    assert not life.waits


def test_the_loss_of_an_older_socket_is_no_loss() -> None:
    life = talking()
    life.attach(11)
    assert life.on(MediaLost(CALL, 10, 1006)) == []
    assert life.step.ignored


@pytest.mark.parametrize("context", UNREQUESTED)
def test_a_callback_that_streaming_failed_starts_it_at_once(context: str) -> None:
    life = talking()
    assert life.on(callback("MediaStreamingFailed", code=400, sub_code=8603, context=context)) == START
    life.attach(11)
    assert not life.waits


@pytest.mark.parametrize("context", UNREQUESTED)
def test_a_callback_that_streaming_stopped_starts_it_soon(context: str) -> None:
    """The restart is delayed, because ACS also posts `MediaStreamingStopped` when a call ends."""
    life = talking()
    assert life.on(callback("MediaStreamingStopped", context=context)) == ["SetTimer media"]
    assert life.due(SetTimer.MEDIA) == START
    life = talking()
    life.on(callback("MediaStreamingStopped", context=context))
    assert life.on(callback("CallDisconnected", sub_code=560000)) == ["End"]
    assert life.record.end_reason == "caller_hung_up"


def test_a_socket_that_is_refused_before_the_call_is_connected_is_requested_soon_after() -> None:
    """ACS rejects the start of streaming until the call is connected."""
    life = answering()
    assert life.on(callback("MediaStreamingFailed", code=400, sub_code=8581)) == ["SetTimer media"]
    assert life.on(callback("MediaStreamingFailed", code=400, sub_code=8581)) == []
    assert life.due(SetTimer.MEDIA) == ["SetTimer media"]
    life.done(call_commands.Answer, CONNECTION)
    assert "SetTimer media" not in life.on(callback("CallConnected")), "it waits already"
    assert life.due(SetTimer.MEDIA) == START
    life.attach(10)
    assert not life.waits


def test_a_failure_that_an_open_socket_contradicts_changes_nothing() -> None:
    life = answering()
    life.attach(10)
    assert life.on(callback("MediaStreamingFailed", code=400, sub_code=8581)) == []


def test_an_uplink_that_the_relay_misses_starts_streaming() -> None:
    life = talking()
    assert life.on(UplinkMissed(CALL, 10)) == START
    assert life.on(UplinkMissed(CALL, 10)) == [], "one request at a time"
    life.attach(11)
    assert not life.waits


def test_what_says_the_same_loss_again_asks_for_nothing_more() -> None:
    life = talking()
    life.on(UplinkMissed(CALL, 10))
    for is_new in (callback("MediaStreamingFailed"), callback("MediaStreamingStopped"), MediaLost(CALL, 10, 1006)):
        assert life.on(is_new) == []
    assert life.wait().lost_epoch == 10


def test_a_callback_cuts_the_time_short_that_acs_has_to_dial_by_itself() -> None:
    life = talking()
    life.on(MediaLost(CALL, 10, 1001))
    assert life.on(callback("MediaStreamingFailed", code=400, sub_code=8603)) == START


# -- open sockets are not affected ------------------------------------------------------------------------------------
def test_an_uplink_that_was_missed_by_mistake_is_taken_back_before_anything_is_stopped() -> None:
    life = talking()
    life.on(UplinkMissed(CALL, 10))
    life.failed(call_commands.StartMediaStreaming, "8585")
    assert life.waits
    assert life.on(MediaOpen(CALL, 10)) == []
    assert not life.waits


def test_an_outdated_callback_stops_nothing() -> None:
    """If ACS rejects the start, streaming is running, and the callback was outdated."""
    life = talking()
    assert life.on(callback("MediaStreamingFailed")) == START
    assert life.failed(call_commands.StartMediaStreaming, "8585") == []
    assert not life.waits


def test_a_report_from_before_the_new_socket_is_no_news() -> None:
    life = talking()
    life.on(MediaLost(CALL, 10, 1006), cause="100-1")
    life.record = replace(life.record, uplink_epoch=11)
    life.on(MediaOpen(CALL, 11), cause="100-9")
    for late in (UplinkMissed(CALL, 10), callback("MediaStreamingFailed"), callback("MediaStreamingStopped")):
        assert life.on(late, cause="100-8") == []
        assert life.step.ignored


def test_a_repeated_report_of_a_known_socket_does_not_end_the_wait_for_it() -> None:
    """Inbox entries are delivered at least once; the relay's own report of the socket is a newer entry."""
    life = talking()
    life.on(MediaLost(CALL, 10, 1006), cause="100-1")
    life.record = replace(life.record, uplink_epoch=11)
    life.on(MediaOpen(CALL, 11), cause="100-2")
    life.on(UplinkMissed(CALL, 11), cause="100-3")
    assert life.on(MediaOpen(CALL, 11), cause="100-2") == []
    assert life.step.ignored
    assert life.waits
    life.on(MediaOpen(CALL, 11), cause="100-4")
    assert not life.waits


def test_our_own_stop_is_no_loss() -> None:
    life = talking()
    assert life.on(callback("MediaStreamingStopped", context="StopMediaStreaming-7")) == []
    assert life.step.ignored


def test_a_restart_that_another_replica_finds_after_the_socket_came_is_not_carried_out() -> None:
    life = talking()
    life.on(UplinkMissed(CALL, 10))
    life.failed(call_commands.StartMediaStreaming, "8585")
    assert life.due(SetTimer.MEDIA) == AGAIN
    stop, start = life.issued(call_commands.StopMediaStreaming), life.issued(call_commands.StartMediaStreaming)
    assert isinstance(stop, call_commands.StopMediaStreaming)
    assert isinstance(start, call_commands.StartMediaStreaming)
    assert still_wanted(life.record, stop)
    assert still_wanted(life.record, start)
    life.attach(11)
    assert not still_wanted(life.record, stop)
    assert not still_wanted(life.record, start)


# -- attempts ---------------------------------------------------------------------------------------------------------
def test_a_refused_start_is_tried_again_with_a_stop_before_it_and_growing_pauses() -> None:
    life = talking()
    life.on(UplinkMissed(CALL, 10))
    pauses = []
    for _ in range(5):
        life.failed(call_commands.StartMediaStreaming, "8585")
        pauses.append(life.wait().due_ms - life.now_ms)
        assert life.due(SetTimer.MEDIA) == AGAIN
    assert pauses == [500, 500, 1_000, 2_000, 2_000]


def test_a_start_whose_failure_acs_reports_is_tried_again_once() -> None:
    life = talking()
    life.on(UplinkMissed(CALL, 10))
    life.done(call_commands.StartMediaStreaming)
    failure = callback("MediaStreamingFailed", code=400, sub_code=8581, context=life.wait().operation)
    assert life.on(failure) == ["SetTimer media"]
    assert life.on(failure) == []
    assert life.step.ignored
    assert life.due(SetTimer.MEDIA) == AGAIN


def test_the_first_socket_that_fails_is_asked_for_at_once() -> None:
    life = connected()
    assert life.wait().operation.startswith("Answer-")
    failure = callback("MediaStreamingFailed", code=400, sub_code=8581, context=life.wait().operation)
    assert life.on(failure) == START
    assert life.on(failure) == []


def test_while_acs_has_not_answered_no_other_request_is_made() -> None:
    life = talking()
    life.on(UplinkMissed(CALL, 10))
    assert life.due(SetTimer.MEDIA) == ["SetTimer media"]
    life.done(call_commands.StartMediaStreaming)
    assert life.due(SetTimer.MEDIA) == AGAIN


@pytest.mark.parametrize(("people", "then"), [("", Status.ENDING), ("4:+18005550001", Status.TRANSFERRING)])
def test_after_the_patience_people_are_rung_or_the_call_ends(people: str, then: Status) -> None:
    life = talking(CallPolicy(transfer_target=people, media_patience_ms=20_000))
    lost_at = life.now_ms
    life.on(UplinkMissed(CALL, 10))
    asked: list[str] = []
    while life.at(Status.CONNECTED):
        if "StartMediaStreaming" in [item.kind for item in life.record.pending]:
            life.failed(call_commands.StartMediaStreaming, "8500")
        asked = life.due(SetTimer.MEDIA)
    assert life.now_ms == lost_at + 20_000
    assert life.at(then)
    assert ("Transfer" if people else "HangUp") in asked
    assert life.record.end_reason == ("" if people else "media_lost")


def test_the_patience_begins_anew_with_each_loss() -> None:
    life = talking()
    life.on(UplinkMissed(CALL, 10))
    life.done(call_commands.StartMediaStreaming)
    life.attach(11)
    life.now_ms += 60_000
    life.on(MediaLost(CALL, 11, 1006))
    assert life.due(SetTimer.MEDIA) == START


def test_media_that_never_come_have_the_same_patience() -> None:
    life = connected()
    begun, asked = life.now_ms, life.due(SetTimer.MEDIA)
    assert asked == START
    while life.at(Status.CONNECTED):
        if "StartMediaStreaming" in asked:
            life.done(call_commands.StartMediaStreaming)
        asked = life.due(SetTimer.MEDIA)
    assert life.now_ms == begun + RULES.media_patience_ms
    assert life.record.end_reason == "media_lost"


def test_loss_and_open_may_come_swapped_or_again() -> None:
    life = connected()
    life.record = replace(life.record, uplink_epoch=10)
    assert life.on(MediaLost(CALL, 10, 1006)) == []
    assert life.on(MediaOpen(CALL, 10)) == []
    assert life.waits, "the socket is lost: the wait continues"
    life.attach(11)
    assert not life.waits


def test_start_streaming_on_a_call_that_is_gone_ends_it() -> None:
    life = connected()
    life.due(SetTimer.MEDIA)
    assert life.failed(call_commands.StartMediaStreaming, "8522", gone=True) == ["LookUp"]
    assert life.failed(call_commands.LookUp, "gone", gone=True) == ["End"]
    assert life.at(Status.ENDED)
    assert life.record.connection_id == CONNECTION


def test_a_restart_remembers_what_was_lost() -> None:
    life = Life()
    life.record = waiting_for_media(lost_epoch=10)
    life.due(SetTimer.MEDIA)
    assert (life.wait().lost_epoch, life.wait().operation) == (10, "StartMediaStreaming-1")
