"""Metrics and log lines of a call at a relay, and its spans if the call is traced."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from agent_relay.call.call_trace import KEPT, CallTrace
from agent_relay.core.protocol.voice_events import (
    AudioDelta,
    Other,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
)
from bridge_common.base import log
from bridge_common.observability import tracing
from bridge_common.store.leases import Claim
from bridge_common.wire.entries import Turn
from tests.support.recorded_spans import TRACE_ID, TRACEPARENT, Growth, exemplars_of, telling

CLAIM = Claim("call_1", 7)
HELLO = Turn("agent", "item_1", "Hello.", 1000, heard_ms=900)
CUT = Turn("agent", "item_3", "We are", 1000, interrupted=True, heard_ms=400, first_delta_ms=250, first_frame_ms=260)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def at(ms: float) -> None:
        monkeypatch.setattr(tracing, "now_ms", lambda: ms)

    at(0.0)
    return at


def test_words_of_a_call_without_a_transcript_are_not_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log.privacy, "shows_words", True)
    with caplog.at_level(logging.INFO):
        CallTrace(CLAIM, "").turn(HELLO)
        CallTrace(CLAIM, "", shows_words=False).turn(HELLO)
    assert [vars(record)["bridge_fields"]["text"] for record in caplog.records] == ["Hello.", "(6 characters)"]


def test_a_call_that_is_not_traced_has_metrics_and_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[ServerEvent] = []
    grown, take = Growth(), heard.append
    with telling() as told, caplog.at_level(logging.INFO):
        trace = CallTrace(CLAIM, "")
        assert trace.following(take) is take, "there is no wrapper"
        trace.session_begins("request-1", kind="open")
        trace.session_ready("session-1")
        trace.barge_in("item_3")
        trace.turn(CUT)
        trace.turn(Turn("caller", "item_2", "What?", 1000))
    assert told.spans == []
    for sample in (
        'bridge_relay_turns_total{role="agent"}',
        'bridge_relay_turns_total{role="caller"}',
        "bridge_relay_barge_ins_total",
        "bridge_relay_first_delta_seconds_count",
        "bridge_relay_first_frame_seconds_count",
        'bridge_relay_session_setup_seconds_count{kind="open"}',
    ):
        assert grown(sample) == 1, sample
    assert grown("bridge_relay_first_delta_seconds_sum") == pytest.approx(0.25)
    shown = [vars(record)["bridge_fields"] for record in caplog.records if record.message == "turn completed"]
    assert shown[0] == {
        "call_id": "call_1",
        "text": "(6 characters)",
        "role": "agent",
        "item_id": "item_3",
        "interrupted": True,
        "heard_ms": 400,
        "first_delta_ms": 250,
        "first_frame_ms": 260,
    }
    assert shown[1] == {"call_id": "call_1", "text": "(5 characters)", "role": "caller", "item_id": "item_2"}


def test_each_turn_is_a_span_with_what_happened_in_it(clock: Callable[[float], None]) -> None:
    heard: list[ServerEvent] = []
    with telling() as told:
        trace = CallTrace(CLAIM, TRACEPARENT)
        hear = trace.following(heard.append)
        clock(1000)
        hear(AudioDelta("resp_1", "item_1", b""))
        clock(2000)
        trace.turn(HELLO)
        clock(3000)
        hear(SpeechStarted("item_2"))
        clock(4000)
        hear(SpeechStopped("item_2"))
        for at in (4250, 4300):
            clock(at)
            hear(AudioDelta("resp_2", "item_3", b""))
        clock(4700)
        trace.barge_in("item_3")
        clock(4800)
        trace.turn(CUT)
        trace.turn(Turn("caller", "item_2", "What?", 1000))
    assert told.names() == ["agent turn", "caller turn", "agent turn"]
    assert {traceparent for traceparent, _ in told.spans} == {TRACEPARENT}
    greeting, question, answer = (span for _, span in told.spans)
    assert (greeting.began_ms, greeting.ended_ms) == (1000, 2000)
    assert (question.began_ms, question.ended_ms, question.attributes["item_id"]) == (3000, 4000, "item_2")
    assert (answer.began_ms, answer.ended_ms) == (4000, 4800)
    assert [(moment.name, moment.at_ms) for moment in answer.moments] == [
        ("first delta", 4250),
        ("first frame", 4260),
        ("barge-in", 4700),
    ]
    assert answer.attributes["call_id"] == "call_1"
    assert "text" not in answer.attributes
    assert [type(event).__name__ for event in heard] == [
        *("AudioDelta", "SpeechStarted", "SpeechStopped", "AudioDelta", "AudioDelta")
    ]


def test_the_setup_of_a_session_is_one_span(clock: Callable[[float], None]) -> None:
    grown = Growth()
    with telling() as told:
        trace = CallTrace(CLAIM, TRACEPARENT)
        trace.session_begins("request-1", kind="open")
        clock(300)
        trace.session_over("refused: 403")
        trace.session_begins("request-2", kind="warm")
        clock(500)
        trace.session_ready("session-2")
        trace.session_over("closed: 1006")
    assert told.names() == ["voice session", "voice session"]
    refused, ready = (span for _, span in told.spans)
    assert (refused.ended_ms - refused.began_ms, refused.failure) == (300, "refused: 403")
    assert (ready.ended_ms - ready.began_ms, ready.failure) == (200, "")
    assert ready.attributes == {
        "call_id": "call_1",
        "kind": "warm",
        "request_id": "request-2",
        "epoch": 7,
        "session_id": "session-2",
    }
    assert grown('bridge_relay_session_setup_seconds_count{kind="warm"}') == 1
    assert grown('bridge_relay_session_setup_seconds_count{kind="open"}') == 0, "it was never ready"


def test_speech_that_never_ends_is_forgotten(clock: Callable[[float], None]) -> None:
    with telling() as told:
        trace = CallTrace(CLAIM, TRACEPARENT)
        hear = trace.following(lambda event: None)
        clock(1000)
        for number in range(1000):
            hear(SpeechStarted(f"speech {number}"))
            hear(AudioDelta("resp", f"item {number}", b""))
            hear(Other("response.content_part.added"))
        clock(5000)
        for number in (1000 - KEPT - 1, 1000 - KEPT):
            hear(SpeechStopped(f"speech {number}"))
            trace.turn(Turn("agent", f"item {number}", "Hello.", 1000))
    assert [(span.name, span.began_ms) for _, span in told.spans] == [
        ("caller turn", 5000),
        ("caller turn", 1000),
        ("agent turn", 1000),
    ]


def test_latencies_of_a_traced_call_have_exemplars() -> None:
    with telling():
        trace = CallTrace(CLAIM, TRACEPARENT)
        trace.session_begins("request-1", kind="open")
        trace.session_ready("session-1")
        trace.turn(CUT)
    names = (
        "bridge_relay_session_setup_seconds",
        "bridge_relay_first_delta_seconds",
        "bridge_relay_first_frame_seconds",
    )
    assert exemplars_of(*names) == {name: {TRACE_ID} for name in names}
