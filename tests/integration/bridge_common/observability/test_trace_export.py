"""Spans over the wire: to an OTLP collector, and to Azure Monitor through its own distribution, unmodified."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from bridge_common.observability.trace_export import OpenTelemetry, open_tracing
from bridge_common.observability.tracing import Moment, Span
from tests.support.span_receiver import SpanReceiver, receiving_spans

ANSWER = Span(
    name="answer",
    began_ms=1_700_000_000_000,
    ended_ms=1_700_000_000_250,
    kind="client",
    attributes={"call_id": "call_1", "tries": 2},
    moments=[Moment("voice ready", 1_700_000_000_100)],
)


@pytest.fixture
def receiver() -> Iterator[SpanReceiver]:
    with receiving_spans() as receiver:
        yield receiver


@pytest.fixture
def otlp(receiver: SpanReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)


@pytest.mark.usefixtures("otlp")
def test_the_spans_of_a_call_arrive_as_one_trace(receiver: SpanReceiver) -> None:
    control = open_tracing("call-control", "control-1", otlp=True, connection_string="")
    relay = open_tracing("agent-relay", "relay-1", otlp=True, connection_string="")
    control.begin(Span(name="a call that another replica had already", began_ms=1, ended_ms=2))
    begun = control.begin(Span(name="incoming call", began_ms=1, ended_ms=2, kind="consumer"))
    traceparent = begun.traceparent
    begun.export()
    control.export(traceparent, ANSWER)
    relay.export(traceparent, Span(name="voice session", began_ms=5, ended_ms=3, failure="refused: 403"))
    control.stop()
    relay.stop()
    by_name = {span.name: span for span in receiver.spans}
    root, answer, voice = by_name["incoming call"], by_name["answer"], by_name["voice session"]
    assert traceparent.startswith(f"00-{root.trace_id}-{root.span_id}-")
    assert is_sampled(traceparent)
    assert {span.trace_id for span in receiver.spans} == {root.trace_id}
    assert (root.parent_id, answer.parent_id, voice.parent_id) == ("", root.span_id, root.span_id)
    assert (answer.service, voice.service) == ("call-control", "agent-relay")
    assert (answer.began_ms, answer.ended_ms) == pytest.approx((ANSWER.began_ms, ANSWER.ended_ms), abs=0.01)
    assert answer.attributes == {"call_id": "call_1", "tries": 2}
    assert answer.moments == ["voice ready"]
    assert (answer.failure, voice.failure) == ("", "refused: 403")
    assert voice.ended_ms == voice.began_ms, "no span ends before it began, whatever the clocks said"


@pytest.mark.usefixtures("otlp")
def test_what_is_sampled_is_decided_once_for_a_call(receiver: SpanReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    control = open_tracing("call-control", "control-1", otlp=True, connection_string="")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "1")
    relay = open_tracing("agent-relay", "relay-1", otlp=True, connection_string="")
    traceparent = control.begin(ANSWER).traceparent
    assert not is_sampled(traceparent)
    relay.export(traceparent, ANSWER)
    relay.export("this is no traceparent", ANSWER)
    control.stop()
    relay.stop()
    assert [span.trace_id in traceparent for span in receiver.spans] == [False]


def is_sampled(traceparent: str) -> bool:
    """The lowest bit of the flags (W3C Trace Context)."""
    return bool(int(traceparent[-2:], 16) & 1)


def test_a_collector_that_is_away_neither_fails_nor_keeps_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracing = OpenTelemetry(provider, stop_s=0.2)
    tracing.export(tracing.begin(ANSWER).traceparent, ANSWER)
    tracing.stop()


AZURE = textwrap.dedent(
    """
    import sys
    from bridge_common.observability import tracing
    from bridge_common.observability.tracing import Span
    from bridge_common.service.lifecycle import start_tracing

    start_tracing("call-control", "control-1", otlp=False, connection_string=sys.argv[1])
    begun = tracing.begin(Span(name="incoming call", began_ms=1_700_000_000_000, ended_ms=1_700_000_000_250,
                               kind="consumer", attributes={"call_id": "call_1"}))
    begun.export()
    traceparent = begun.traceparent
    tracing.export(traceparent, Span(name="answer", began_ms=1_700_000_000_000, ended_ms=1_700_000_000_500))
    tracing.stop()
    print(traceparent)
    """
)


def test_azure_monitor_receives_the_spans(receiver: SpanReceiver) -> None:
    """In a separate process, because the distribution sets global providers. It must not connect to the real Azure."""
    key = "11111111-2222-4333-8444-555555555555"
    connection_string = f"InstrumentationKey={key};IngestionEndpoint={receiver.url}/;LiveEndpoint={receiver.url}/"
    quiet = {
        "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
        "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
        "no_proxy": "127.0.0.1",
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")} | quiet
    ran = subprocess.run(
        [sys.executable, "-c", AZURE, connection_string],
        env=environment, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    trace_id = ran.stdout.strip().split("-")[1]
    spans = [envelope for envelope in receiver.envelopes if envelope["data"]["baseType"] != "MetricData"]
    sent = {envelope["data"]["baseData"]["name"]: envelope for envelope in spans}
    assert set(sent) == {"incoming call", "answer"}
    for envelope in sent.values():
        assert envelope["iKey"] == key
        assert envelope["tags"]["ai.operation.id"] == trace_id
        assert envelope["tags"]["ai.cloud.role"] == "call-control"
    assert sent["incoming call"]["data"]["baseType"] == "RequestData"
    assert sent["incoming call"]["data"]["baseData"]["properties"]["call_id"] == "call_1"
    assert set(receiver.paths) == {"/v2.1/track"}
