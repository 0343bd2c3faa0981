"""The outbox while an event is applied."""

from __future__ import annotations

from dataclasses import replace

from bridge_common.wire.call_record import CallRecord, PendingCommand, Status
from bridge_common.wire.entries import Due
from call_control.core.machine.call_commands import Answer, Reject, SetTimer
from call_control.core.machine.transition import (
    CallPolicy,
    Transition,
    armed,
    awaited,
    newly_due,
    no_longer_due,
    without_command,
)

RECORD = CallRecord(call_id="call_0123456789abcdef01234567", status=Status.RINGING)
FROM_A_NEWER_VERSION = PendingCommand(9, "Sing", "{}")


def transition_of(record: CallRecord = RECORD) -> Transition:
    return Transition(before=record, policy=CallPolicy(), now_ms=100, cause="1-0", record=record)


def test_commands_are_numbered_and_stored_in_the_outbox() -> None:
    transition = transition_of(replace(RECORD, command_seq=4))
    first, second = transition.issue(Answer), transition.issue(Reject, reason="busy")
    assert (first.seq, second.seq, transition.record.command_seq) == (5, 6, 6)
    assert transition.issued == [first, second]
    assert awaited(transition.record, 6) == second
    assert awaited(without_command(transition.record, 6), 6) is None


def test_a_timer_replaces_the_one_of_its_name_and_counts_by_itself() -> None:
    transition = transition_of()
    transition.issue(Answer)
    transition.arm(SetTimer.MEDIA, 50)
    transition.arm(SetTimer.VOICE, 60)
    transition.arm(SetTimer.MEDIA, 70, lost_epoch=3)
    media = armed(transition.record, SetTimer.MEDIA)
    assert media == SetTimer(seq=3, cause="1-0", name="media", due_ms=170, lost_epoch=3)
    assert [item.seq for item in transition.issued if isinstance(item, SetTimer)] == [2, 3]
    assert awaited(transition.record, 3) is None, "timers have no results"


def test_a_commands_result_leaves_a_timer_of_the_same_number() -> None:
    transition = transition_of()
    transition.issue(Answer)
    transition.arm(SetTimer.VOICE, 60)
    left = without_command(transition.record, 1)
    assert armed(left, SetTimer.VOICE) is not None
    assert awaited(left, 1) is None


def test_an_annotation_does_not_set_the_timer_again() -> None:
    transition = transition_of()
    transition.arm(SetTimer.MEDIA, 50)
    wait = armed(transition.record, SetTimer.MEDIA)
    assert wait is not None
    transition.annotate(replace(wait, lost_epoch=7))
    assert armed(transition.record, SetTimer.MEDIA) == replace(wait, lost_epoch=7)
    assert transition.issued == [wait]


def test_timers_that_were_disarmed_or_replaced_are_no_longer_due() -> None:
    transition = transition_of(replace(RECORD, pending=(FROM_A_NEWER_VERSION,)))
    for name in (SetTimer.MEDIA, SetTimer.VOICE, SetTimer.LENGTH):
        transition.arm(name, 50)
    transition.issue(Answer)
    armed_before = transition.record
    assert no_longer_due(armed_before, armed_before) == []
    transition.arm(SetTimer.MEDIA, 70)
    transition.disarm(SetTimer.VOICE)
    assert no_longer_due(armed_before, transition.record) == [
        Due(RECORD.call_id, "media", 1),
        Due(RECORD.call_id, "voice", 2),
    ]
    assert no_longer_due(RECORD, transition.record) == []
    assert no_longer_due(armed_before, without_command(armed_before, 1)) == [], "a command is not a timer"


def test_timers_that_were_armed_or_adopted_are_newly_due() -> None:
    transition = transition_of(replace(RECORD, pending=(FROM_A_NEWER_VERSION,)))
    transition.arm(SetTimer.MEDIA, 50)
    transition.arm(SetTimer.VOICE, 60)
    transition.arm(SetTimer.MEDIA, 70)
    transition.issue(Answer)
    media, voice = Due(RECORD.call_id, "media", 3), Due(RECORD.call_id, "voice", 2)
    assert newly_due(RECORD, transition.record) == {media: 170, voice: 160}, "without the replaced one"
    armed_before = transition.record
    wait = armed(armed_before, SetTimer.MEDIA)
    assert wait is not None
    transition.annotate(replace(wait, lost_epoch=7))
    assert newly_due(armed_before, transition.record) == {}
    transition.cause = "2-0"
    transition.adopt_outbox()
    assert newly_due(armed_before, transition.record) == {media: 170, voice: 160}, "restored after a loss in Redis"


def test_disarming_keeps_commands_and_unknown_entries() -> None:
    transition = transition_of(replace(RECORD, pending=(FROM_A_NEWER_VERSION,)))
    transition.issue(Answer)
    transition.arm(SetTimer.VOICE, 60)
    transition.arm(SetTimer.LENGTH, 60)
    transition.disarm_all()
    assert [item.kind for item in transition.record.pending] == ["Sing", "Answer"]
    assert [type(item) for item in transition.issued] == [Answer]
