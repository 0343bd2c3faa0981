"""Transitions of a call; its invariants are tested in test_call_machine_properties.py."""

from __future__ import annotations

import pytest

from bridge_common.wire.call_record import Status
from bridge_common.wire.entries import Due, HangUp, MediaLost, Restored, VoiceLost, VoiceReady
from call_control.core.machine import call_commands
from call_control.core.machine.call_commands import SetTimer
from call_control.core.machine.call_machine import still_wanted
from call_control.core.machine.transition import CallPolicy, armed, awaited, outstanding
from call_control.core.policy.routing import Accepted, Redirected, Rejected
from tests.unit.support.call_life import (
    CALL,
    CONNECTION,
    RULES,
    Life,
    answering,
    callback,
    ending,
    name_of,
    ringing,
    talking,
)

NO_TARGETS = CallPolicy()


def test_a_call_from_ring_to_end() -> None:
    life = talking()
    assert life.at(Status.CONNECTED)
    assert life.record.connection_id == CONNECTION
    assert life.on(callback("CallDisconnected", sub_code=560000)) == ["End"]
    assert life.at(Status.ENDED)
    assert life.record.end_reason == "caller_hung_up"
    life.done(call_commands.End)
    assert armed(life.record, SetTimer.ENDING) is None


def test_the_incoming_call_context_is_dropped_once_it_is_useless() -> None:
    life = answering()
    assert life.record.incoming_call_context
    life.done(call_commands.Answer, CONNECTION)
    assert life.record.incoming_call_context, "the answer may have to be requested again"
    life.on(callback("CallConnected"))
    assert life.record.incoming_call_context == ""
    diverting = ringing(NO_TARGETS)
    diverting.due(SetTimer.VOICE)
    assert diverting.record.incoming_call_context
    diverting.done(call_commands.Reject)
    assert diverting.record.incoming_call_context == ""


def test_at_once_answers_before_the_voice_session_is_ready() -> None:
    life = Life(CallPolicy(answer_at_once=True))
    assert life.on(Accepted("default")) == ["Offer", "SetTimer voice", "SetTimer connect", "Answer"]
    assert life.at(Status.ANSWERING)
    assert life.on(VoiceReady(CALL, 5)) == []
    assert life.record.voice_ready
    assert armed(life.record, SetTimer.VOICE) is None


def test_at_once_without_voice_hangs_up_at_the_deadline() -> None:
    life = Life(CallPolicy(answer_at_once=True))
    life.on(Accepted("default"))
    life.done(call_commands.Answer, CONNECTION)
    life.on(callback("CallConnected"))
    assert life.due(SetTimer.VOICE) == ["SetTimer ending", "End", "HangUp"]
    assert life.record.end_reason == "no_voice"


@pytest.mark.parametrize(("rules", "how"), [(RULES, "Redirect"), (NO_TARGETS, "Reject")])
def test_no_voice_diverts_and_never_answers(rules: CallPolicy, how: str) -> None:
    for lost in (False, True):
        life = ringing(rules)
        asked = life.on(VoiceLost(CALL, 5, "503")) if lost else life.due(SetTimer.VOICE)
        assert asked == ["SetTimer ending", "End", how]
        assert life.at(Status.DIVERTING)
        assert life.on(VoiceReady(CALL, 5)) == []
        life.done(getattr(call_commands, how))
        assert life.at(Status.ENDED)
        assert life.record.end_reason == ("voice_lost" if lost else "no_voice")


def test_policy_may_redirect_or_reject() -> None:
    life = Life()
    assert life.on(Redirected("8:acs:people")) == ["SetTimer ending", "End", "Redirect"]
    assert getattr(life.issued(call_commands.Redirect), "target", "") == "8:acs:people"
    life = Life()
    assert life.on(Rejected("forbidden")) == ["SetTimer ending", "End", "Reject"]
    assert getattr(life.issued(call_commands.Reject), "reason", "") == "forbidden"


def test_a_redirect_that_is_refused_becomes_a_reject_and_that_an_end() -> None:
    life = ringing()
    life.due(SetTimer.VOICE)
    assert life.failed(call_commands.Redirect) == ["SetTimer ending", "Reject"]
    assert life.failed(call_commands.Reject) == []
    assert life.at(Status.ENDED)


def test_a_stale_context_ends_the_call_without_another_request() -> None:
    life = answering()
    assert life.failed(call_commands.Answer, "stale_context", gone=True) == ["End"]
    assert life.at(Status.ENDED)
    assert life.record.end_reason == "acs_stale_context"


def test_an_answer_that_acs_refuses_diverts_the_call() -> None:
    life = answering()
    assert life.failed(call_commands.Answer, "429") == ["SetTimer ending", "End", "Redirect"]
    assert life.at(Status.DIVERTING)


def test_an_answer_believed_failed_that_did_connect_is_hung_up() -> None:
    life = answering()
    life.failed(call_commands.Answer, "timeout")
    assert life.on(callback("CallConnected")) == ["SetTimer ending", "HangUp"]
    life = answering()
    life.failed(call_commands.Answer, "timeout")
    life.failed(call_commands.Redirect, "8522", gone=True)
    assert life.at(Status.ENDED)
    assert life.on(callback("CallConnected")) == ["SetTimer ending", "HangUp"]
    assert life.on(callback("CallConnected")) == []
    assert life.at(Status.ENDED)


def test_answer_failed_callback_releases_everything() -> None:
    life = answering()
    assert life.on(callback("AnswerFailed", code=487, sub_code=540487)) == ["End"]
    assert life.at(Status.ENDED)
    assert life.record.end_reason == "AnswerFailed_487_540487"


def test_callbacks_may_overtake_the_answers_result() -> None:
    life = answering()
    life.on(callback("CallConnected"))
    assert life.at(Status.CONNECTED)
    assert life.done(call_commands.Answer, CONNECTION) == []
    life = answering()
    life.on(callback("CallDisconnected"))
    assert life.on(callback("CallConnected")) == ["SetTimer ending", "HangUp"], "ACS returns 404"
    assert life.at(Status.ENDED)
    assert life.done(call_commands.Answer, CONNECTION) == []


def test_the_media_socket_may_come_before_call_connected() -> None:
    life = answering()
    life.attach(10)
    assert life.on(callback("CallConnected")) == ["SetTimer length", "SetTimer warning"]
    life = answering()
    life.attach(10)
    assert life.on(MediaLost(CALL, 10, 1006)) == ["SetTimer media"]
    assert life.on(callback("CallConnected")) == ["SetTimer length", "SetTimer warning"]
    assert life.due(SetTimer.MEDIA) == ["SetTimer media", "StartMediaStreaming"]
    life = answering()
    life.attach(10)
    life.on(MediaLost(CALL, 10, 1006))
    assert life.due(SetTimer.MEDIA) == ["SetTimer media"]
    assert life.at(Status.ANSWERING)


def test_a_lost_callback_is_looked_up() -> None:
    life = answering()
    life.done(call_commands.Answer, CONNECTION)
    assert life.due(SetTimer.CONNECT) == ["SetTimer connect", "LookUp"]
    assert life.done(call_commands.LookUp, CONNECTION, "connected") == [
        "SetTimer length",
        "SetTimer warning",
        "SetTimer media",
    ]
    assert life.at(Status.CONNECTED)


def test_a_call_that_never_connects_is_hung_up() -> None:
    life = answering()
    life.done(call_commands.Answer, CONNECTION)
    life.due(SetTimer.CONNECT)
    life.failed(call_commands.LookUp)
    assert life.due(SetTimer.CONNECT) == ["SetTimer ending", "End", "HangUp"]
    life = answering()
    life.done(call_commands.Answer, CONNECTION)
    life.due(SetTimer.CONNECT)
    assert life.done(call_commands.LookUp, CONNECTION, "connecting") == ["SetTimer ending", "End", "HangUp"]
    life = answering()
    life.done(call_commands.Answer, CONNECTION)
    life.due(SetTimer.CONNECT)
    assert life.failed(call_commands.LookUp, "8522", gone=True) == ["End"]
    assert life.at(Status.ENDED)


def test_hang_up_while_ringing_rejects() -> None:
    life = ringing()
    assert life.on(HangUp(CALL, "operator", "")) == ["SetTimer ending", "End", "Reject"]
    assert life.record.end_reason == "hung_up_by_operator"


def test_hang_up_while_answering_waits_for_the_connection() -> None:
    life = answering()
    assert life.on(HangUp(CALL, "operator", "")) == ["SetTimer ending", "End"]
    assert life.done(call_commands.Answer, CONNECTION) == ["SetTimer ending", "HangUp"]
    life.failed(call_commands.HangUp, "8501")
    assert life.on(callback("CallConnected")) == ["SetTimer ending", "HangUp"]
    assert life.on(callback("CallDisconnected")) == []
    assert life.at(Status.ENDED)


def test_a_late_answer_of_an_ended_call_is_hung_up() -> None:
    life = answering()
    life.on(HangUp(CALL, "operator", ""))
    life.due(SetTimer.ENDING)
    assert life.at(Status.ENDED)
    assert life.done(call_commands.Answer, CONNECTION) == ["SetTimer ending", "HangUp"]
    assert life.at(Status.ENDED)
    life.failed(call_commands.HangUp)
    assert life.due(SetTimer.ENDING) == ["SetTimer ending", "HangUp"], "the caller must not stay on a silent line"
    life.done(call_commands.HangUp)
    assert life.due(SetTimer.ENDING) == ["SetTimer ending", "HangUp"]
    life.failed(call_commands.HangUp, "8522", gone=True)
    assert armed(life.record, SetTimer.ENDING) is None


def test_the_result_of_the_hang_up_may_come_after_the_end() -> None:
    life = ending()
    life.on(callback("CallDisconnected"))
    ended = life.record
    for result in (life.failed, life.done):
        life.record = ended
        assert result(call_commands.HangUp) == []
        assert armed(life.record, SetTimer.ENDING) is None


@pytest.mark.parametrize("code", ["unavailable", "8501", "auth"])
def test_a_refused_hang_up_is_repeated_until_the_call_is_gone(code: str) -> None:
    life = ending()
    began_ms, requested_ms = life.now_ms, []
    for _ in range(40):
        life.failed(call_commands.HangUp, code)
        assert life.at(Status.ENDING)
        assert life.due(SetTimer.ENDING) == ["SetTimer ending", "HangUp"]
        requested_ms.append(life.now_ms - began_ms)
    assert requested_ms[:4] == [1_000, 2_000, 3_000, 4_500]
    assert requested_ms[-1] - requested_ms[-2] == 30_000
    life.failed(call_commands.HangUp, "8522", gone=True)
    assert (life.record.status, life.record.end_reason) == (Status.ENDED, "hung_up_by_operator")


def test_a_hang_up_whose_result_is_lost_is_repeated() -> None:
    life = ending()
    assert life.due(SetTimer.ENDING) == ["SetTimer ending", "HangUp"]
    life.done(call_commands.HangUp)
    life.done(call_commands.HangUp)
    assert life.due(SetTimer.ENDING) == ["SetTimer ending", "HangUp"], "the callback may be lost"
    assert life.at(Status.ENDING)


def test_a_hang_up_is_not_repeated_for_ever() -> None:
    life = ending()
    began_ms = life.now_ms
    while not life.at(Status.ENDED):
        life.failed(call_commands.HangUp)
        life.due(SetTimer.ENDING)
    assert 0 <= life.now_ms - began_ms - life.rules.hang_up_patience_ms < 30_000
    assert armed(life.record, SetTimer.ENDING) is None


def test_a_transferred_call_that_is_gone_is_not_hung_up() -> None:
    """The caller is talking to a human agent; the callback about the end of our leg is lost."""
    life = talking(CallPolicy(transfer_target="4:+18005550000"))
    life.on(VoiceLost(CALL, 2**62, "gone"))
    life.on(callback("CallTransferAccepted"))
    assert life.due(SetTimer.ENDING) == ["SetTimer ending", "LookUp"]
    assert life.failed(call_commands.LookUp, "gone", gone=True) == []
    assert (life.record.status, life.record.end_reason) == (Status.ENDED, "transferred")


@pytest.mark.parametrize("how", ["disconnected", "gone"])
def test_ending_becomes_ended(how: str) -> None:
    life = ending()
    match how:
        case "disconnected":
            life.on(callback("CallDisconnected", code=0, sub_code=7000))
        case _:
            life.failed(call_commands.HangUp, "8522", gone=True)
    assert life.at(Status.ENDED)
    assert life.record.end_reason == "hung_up_by_operator"
    assert life.record.ended_ms == life.now_ms


def test_the_longest_call_is_hung_up() -> None:
    life = talking()
    assert sorted(life.due(SetTimer.LENGTH)) == ["InstructRelay", "SetTimer closing"]
    assert life.due(SetTimer.CLOSING) == ["SetTimer ending", "End", "HangUp"]
    assert life.record.end_reason == "too_long"


def test_an_old_timer_is_ignored() -> None:
    life = ringing()
    timer = armed(life.record, SetTimer.VOICE)
    assert timer is not None
    assert life.on(Due(CALL, SetTimer.VOICE, timer.seq + 1)) == []
    assert life.on(Due(CALL, "unheard-of", 1)) == []
    assert life.step.ignored
    life.on(VoiceReady(CALL, 5))
    assert life.on(Due(CALL, SetTimer.VOICE, timer.seq)) == []
    assert life.at(Status.ANSWERING)


def test_events_without_a_row_change_nothing() -> None:
    life = talking()
    before = life.record
    for type_ in ("ParticipantsUpdated", "MediaStreamingStarted", "PlayCompleted"):
        assert life.on(callback(type_)) == []
        assert life.step.ignored
    assert life.record == before


def test_the_outbox_tells_what_an_entry_still_needs() -> None:
    life = Life()
    life.on(Accepted("default"), cause="7-0")
    assert [name_of(c) for c in outstanding(life.record, "7-0")] == ["Offer"], "deadlines are set with the record"
    life.done(call_commands.Offer)
    assert outstanding(life.record, "7-0") == []
    life.on(VoiceReady(CALL, 5), cause="8-0")
    assert outstanding(life.record, "7-0") == []
    assert [name_of(c) for c in outstanding(life.record, "8-0")] == ["Answer"]


def test_commands_of_a_call_that_moved_on_are_not_wanted() -> None:
    life = answering()
    answer = awaited(life.record, life.waiting(call_commands.Answer))
    assert isinstance(answer, call_commands.Answer)
    assert still_wanted(life.record, answer)
    life.on(HangUp(CALL, "operator", ""))
    assert not still_wanted(life.record, answer)


def test_a_restored_call_repeats_its_commands_and_timers() -> None:
    life = answering()
    assert sorted(life.on(Restored(CALL), cause="9-1")) == ["Answer", "SetTimer connect"]
    assert [type(command) for command in outstanding(life.record, "9-1")] == [call_commands.Answer]
    assert life.at(Status.ANSWERING)
    life.done(call_commands.Answer, CONNECTION)
    life.on(callback("CallConnected"))
    assert "SetTimer length" in life.on(Restored(CALL), cause="9-2")


def test_a_restored_call_is_still_hung_up() -> None:
    life = ending()
    assert {"SetTimer ending", "HangUp"} <= set(life.on(Restored(CALL), cause="9-1"))
    life.done(call_commands.HangUp)
    assert sorted(life.on(Restored(CALL), cause="9-2")) == ["End", "SetTimer ending"]
    assert life.due(SetTimer.ENDING) == ["SetTimer ending", "HangUp"]


def test_a_restored_call_is_still_diverted() -> None:
    life = ringing()
    life.on(VoiceLost(CALL, 5, "budget"))
    assert life.at(Status.DIVERTING)
    assert {"SetTimer ending", "Redirect"} <= set(life.on(Restored(CALL), cause="9-1"))


def test_an_unconfirmed_hang_up_of_an_ended_call_is_restored() -> None:
    life = answering()
    life.on(callback("AnswerFailed"))
    assert life.at(Status.ENDED)
    assert life.on(Restored(CALL), cause="9-1") == []
    assert "HangUp" in life.done(call_commands.Answer, "another")
    assert {"SetTimer ending", "HangUp"} <= set(life.on(Restored(CALL), cause="9-2"))


def test_a_call_that_is_over_is_not_restored() -> None:
    life = ending()
    life.on(callback("CallDisconnected"))
    before = life.record
    assert life.on(Restored(CALL), cause="9-1") == []
    assert life.record == before
