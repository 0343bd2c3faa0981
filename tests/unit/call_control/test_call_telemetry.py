"""Telemetry of a call: metrics and log lines for every call, spans for traced calls."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from bridge_common.wire.call_record import CallAction, CallRecord, Status, TransferStage
from bridge_common.wire.entries import Due, IncomingCall, MediaOpen
from call_control.call_telemetry import begin_trace, report_arrival, report_command, report_step
from call_control.core.machine.call_events import CommandDone
from call_control.core.policy.routing import Accepted, Routed
from tests.support.recorded_spans import TRACE_ID, TRACEPARENT, Growth, exemplars_of, telling

RING_MS = round(time.time() * 1000) - 2_000
ENTRY = IncomingCall("call_1", "e", "4:+14255550100", "4:+18005551212", "context", "correlation-1", "server", RING_MS)
RINGING = CallRecord(call_id="call_1", status=Status.RINGING, created_ms=RING_MS, traceparent=TRACEPARENT)
ANSWERING = replace(RINGING, status=Status.ANSWERING, answered_ms=RING_MS + 300)
CONNECTED = replace(ANSWERING, status=Status.CONNECTED, connected_ms=RING_MS + 1_300)
ENDED = replace(CONNECTED, status=Status.ENDED, ended_ms=RING_MS + 9_000, end_reason="caller_hung_up")
DONE = CommandDone(1)


def test_a_call_is_counted_at_each_status_it_comes_to(caplog: pytest.LogCaptureFixture) -> None:
    grown = Growth()
    caplog.set_level("INFO")
    report_arrival(ENTRY, Routed(Accepted("default"), "main-line", "rule main-line: 25 %"))
    for was, now in ((RINGING, ANSWERING), (ANSWERING, CONNECTED), (CONNECTED, CONNECTED), (CONNECTED, ENDED)):
        report_step(was, now, DONE)
    for status in ("ringing", "answering", "connected", "ended"):
        assert grown(f'bridge_calls_total{{status="{status}"}}') == 1, status
    assert grown('bridge_calls_ended_total{reason="caller_hung_up"}') == 1
    assert grown('bridge_answer_seconds_count{until="answer"}') == 1
    assert grown('bridge_answer_seconds_count{until="connected"}') == 1
    assert grown('bridge_answer_seconds_sum{until="connected"}') >= 2
    assert caplog.messages == ["call arrived", *["call changed status"] * 3]
    assert "4255550100" not in str([vars(record) for record in caplog.records])


def test_a_hang_up_that_acs_does_not_confirm_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    grown, due = Growth(), Due("call_1", "ending", 3)
    ending = replace(CONNECTED, status=Status.ENDING, hang_up_ms=RING_MS, connection_id="441f1200", command_seq=3)
    report_step(ending, replace(ending, command_seq=4), due)
    assert grown("bridge_hang_ups_repeated_total") == 1
    report_step(ending, ending, due)
    assert grown("bridge_hang_ups_abandoned_total") == 0
    report_step(ending, replace(ending, status=Status.ENDED), due)
    assert grown("bridge_hang_ups_abandoned_total") == 1
    assert caplog.messages == [
        "hang-up not confirmed by ACS; repeating it",
        "hang-up not confirmed by ACS; the caller may still be connected",
    ]


def test_the_media_socket_is_counted_when_it_is_there_for_the_first_time() -> None:
    grown = Growth()
    seen = replace(CONNECTED, media_seen=True)
    report_step(CONNECTED, seen, MediaOpen("call_1", 1))
    report_step(seen, seen, MediaOpen("call_1", 2))
    assert grown('bridge_answer_seconds_count{until="media"}') == 1


def test_the_codes_of_a_reason_make_no_series_of_their_own() -> None:
    grown = Growth()
    for sub_code in range(100):
        report_step(CONNECTED, replace(ENDED, end_reason=f"CallDisconnected_410_{sub_code}"), DONE)
    report_step(CONNECTED, replace(ENDED, end_reason="hung_up_by_somebody"), DONE)
    assert grown('bridge_calls_ended_total{reason="CallDisconnected"}') == 100
    assert grown('bridge_calls_ended_total{reason="other"}') == 1


def test_the_spans_of_a_call_are_told_with_the_steps_that_end_them() -> None:
    with telling() as told:
        begun = begin_trace(ENTRY)
        assert told.spans == [], "not before it is known to be new"
        begun.export()
        for was, now in ((RINGING, ANSWERING), (ANSWERING, CONNECTED), (CONNECTED, ENDED)):
            report_step(was, now, DONE)
        report_command(CONNECTED, "HangUp", RING_MS, "gone", failure="no such call")
    assert told.names() == ["incoming call", "answer", "call", "ACS HangUp"]
    answer, call, hang_up = told.of("answer"), told.of("call"), told.of("ACS HangUp")
    assert (answer.began_ms, answer.ended_ms) == (RING_MS, RING_MS + 1_300)
    assert [(moment.name, moment.at_ms) for moment in answer.moments] == [("answer requested", RING_MS + 300)]
    assert (call.began_ms, call.ended_ms) == (RING_MS, RING_MS + 9_000)
    assert call.attributes == {"call_id": "call_1", "reason": "caller_hung_up"}
    assert (hang_up.kind, hang_up.failure) == ("client", "no such call")
    assert "4255550100" not in str(told.spans)


def test_a_call_that_is_not_traced_leaves_no_span() -> None:
    with telling() as told:
        report_step(replace(ANSWERING, traceparent=""), replace(CONNECTED, traceparent=""), DONE)
    report_step(ANSWERING, CONNECTED, DONE)
    assert begin_trace(ENTRY).traceparent == ""
    assert told.spans == []


def test_a_transfer_is_counted_once_when_its_outcome_is_known(caplog: pytest.LogCaptureFixture) -> None:
    grown = Growth()
    caplog.set_level("INFO")
    action = CallAction(
        "act_1", "transfer", '{"target":"billing"}', "agent", 1, "running", operation="AddParticipant-7"
    )
    dialing = replace(CONNECTED, actions=(action,), transfer="act_1", transfer_stage=TransferStage.DIALING)
    done = replace(action, state="done", reason="connected")
    talk = replace(dialing, actions=(done,), transfer_stage=TransferStage.BRIDGED)
    back = replace(talk, transfer="", transfer_stage=TransferStage.NONE)
    for was, now in ((CONNECTED, dialing), (dialing, dialing), (dialing, talk), (talk, talk), (talk, back)):
        report_step(was, now, DONE)
    assert grown('bridge_transfers_total{mode="attended",outcome="connected"}') == 1
    assert caplog.messages == [
        "transfer changed stage",
        "transfer changed stage",
        "transfer completed",
        "transfer changed stage",
    ]
    lines = [record.__dict__["bridge_fields"] for record in caplog.records]
    assert [(line["action_id"], line["target"]) for line in lines] == [("act_1", "billing")] * 4
    assert (lines[2]["mode"], lines[2]["by"], lines[2]["reason"]) == ("attended", "agent", "connected")


def test_an_invitation_is_counted_with_its_outcome() -> None:
    grown = Growth()
    action = CallAction("act_1", "add_participant", '{"target":"billing"}', "operator", 1, "running")
    ringing = replace(CONNECTED, actions=(action,))
    report_step(CONNECTED, ringing, DONE)
    report_step(ringing, replace(ringing, actions=(replace(action, state="failed", reason="busy"),)), DONE)
    assert grown('bridge_participants_added_total{outcome="busy"}') == 1
    assert grown('bridge_participants_added_total{outcome="joined"}') == 0


@pytest.mark.parametrize("arguments", ['{"target":"14255550100"}', '{"target":"4:+14255550100"}', "no JSON"])
def test_a_request_that_is_not_possible_is_counted_and_has_a_reason(
    arguments: str, caplog: pytest.LogCaptureFixture
) -> None:
    grown = Growth()
    caplog.set_level("INFO")
    reason = "unknown target '14255550100'; use billing"
    action = CallAction("act_1", "transfer", arguments, "agent", 1, "failed", reason)
    report_step(CONNECTED, replace(CONNECTED, actions=(action,)), DONE)
    assert grown('bridge_transfers_total{mode="attended",outcome="rejected"}') == 1
    line = caplog.records[-1].__dict__["bridge_fields"]
    assert (line["outcome"], line["reason"]) == ("rejected", "unknown target '[number]'; use billing")
    assert "14255550100" not in str(line), "an agent may have used a number"


@pytest.mark.parametrize("state", ["done", "failed", "canceled"])
def test_each_action_is_counted_once_with_its_outcome(state: str) -> None:
    grown, sample = Growth(), f'bridge_call_actions_total{{kind="send_dtmf",outcome="{state}"}}'
    action = CallAction("act_1", "send_dtmf", '{"tones":"1"}', "operator", 1, "running")
    sending = replace(CONNECTED, actions=(action,))
    over = replace(CONNECTED, actions=(replace(action, state=state),))
    for was, now in ((CONNECTED, sending), (sending, sending), (sending, over), (over, over)):
        report_step(was, now, DONE)
    assert grown(sample) == 1
    report_step(CONNECTED, over, DONE)
    assert grown(sample) == 2, "an action that is over in the step that requested it"


def test_the_duration_of_a_call_begins_when_it_is_connected() -> None:
    grown = Growth()
    report_step(CONNECTED, ENDED, DONE)
    report_step(RINGING, replace(RINGING, status=Status.ENDED, ended_ms=RING_MS + 9_000), DONE)
    assert grown("bridge_call_seconds_count") == 1, "the other one was not answered"
    assert grown("bridge_call_seconds_sum") == pytest.approx(7.7)


def test_latencies_of_traced_calls_have_exemplars() -> None:
    report_step(RINGING, ANSWERING, DONE)
    report_step(ANSWERING, CONNECTED, DONE)
    report_step(CONNECTED, ENDED, DONE)
    report_command(CONNECTED, "Answer", RING_MS + 300, "done")
    names = ("bridge_answer_seconds", "bridge_call_seconds", "bridge_acs_request_seconds")
    assert exemplars_of(*names) == {name: {TRACE_ID} for name in names}
