"""Observability of a media socket: metrics always, spans if the call is traced."""

from __future__ import annotations

import pytest

from bridge_common.observability import telemetry
from bridge_common.store.call_store import MediaGrant
from bridge_common.wire.call_record import CallRecord, Status
from bridge_common.wire.entries import Clear
from media_gateway.socket.media_trace import MediaTrace
from tests.support.recorded_spans import TRACE_ID, TRACEPARENT, Growth, exemplars_of, telling


def grant(traceparent: str = "", *, media_seen: bool = False) -> MediaGrant:
    record = CallRecord(
        call_id="call_1", status=Status.CONNECTED, traceparent=traceparent, media_seen=media_seen, caller="4:+1425"
    )
    return MediaGrant(17, "0-0", record)


def test_a_barge_in_is_measured_from_when_the_caller_was_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    grown = Growth()
    trace = MediaTrace(grant())
    monkeypatch.setattr(telemetry, "now_us", lambda: 1_000_030_000)
    trace.stopped(Clear("item_1", at_us=1_000_000_000))
    trace.stopped(Clear("item_1"))
    trace.stopped(Clear("item_1", at_us=1_000_040_000))
    assert grown("bridge_barge_in_seconds_count") == 2, "a clear of an older relay has no time"
    assert grown("bridge_barge_in_seconds_sum") == pytest.approx(0.03), "clocks differ; no time is negative"


def test_the_first_socket_of_a_call_and_the_others_are_told_apart() -> None:
    grown = Growth()
    MediaTrace(grant())
    MediaTrace(grant(media_seen=True))
    assert grown('bridge_gateway_attaches_total{kind="first"}') == 1
    assert grown('bridge_gateway_attaches_total{kind="again"}') == 1


def test_set_up_and_socket_are_spans_of_the_call() -> None:
    with telling() as told:
        trace = MediaTrace(grant(TRACEPARENT))
        trace.opened(16_000)
        for _ in range(1000):
            trace.stopped(Clear("item_1", at_us=telemetry.now_us()))
        trace.closed(1000, "the call has ended")
    assert told.names() == ["media set-up", "media socket"]
    assert {traceparent for traceparent, _ in told.spans} == {TRACEPARENT}
    about = {"call_id": "call_1", "epoch": 17}
    assert told.of("media set-up").attributes == about | {"rate_hz": 16_000}
    socket = told.of("media socket")
    assert socket.attributes == about | {"close_code": 1000, "close_reason": "the call has ended"}
    assert len(socket.moments) == 100, "limited, also in a long call"


def test_a_call_that_is_not_traced_leaves_no_span() -> None:
    with telling() as told:
        trace = MediaTrace(grant())
        trace.opened(16_000)
        trace.stopped(Clear("item_1", at_us=telemetry.now_us()))
        trace.closed(1000, "")
    assert told.spans == []


def test_the_latency_of_a_traced_barge_in_has_an_exemplar() -> None:
    with telling():
        MediaTrace(grant(TRACEPARENT)).stopped(Clear("item_1", at_us=telemetry.now_us()))
    assert exemplars_of("bridge_barge_in_seconds") == {"bridge_barge_in_seconds": {TRACE_ID}}
