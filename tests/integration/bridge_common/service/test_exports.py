"""Log and metrics over the wire: to an OTLP collector, and the log to Azure Monitor.

In a separate process, because the root logger and the libraries are global. It must not connect to the real Azure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.span_receiver import SpanReceiver, receiving_spans

KEY = "11111111-2222-4333-8444-555555555555"
NUMBER, TOKEN, WORDS = "+14255550100", "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJ.c2ln", "my card is 4111"
PROGRAM = textwrap.dedent(
    f"""
    import logging
    from bridge_common.base.log import fields, phone, words
    from bridge_common.base.redaction import redacted
    from bridge_common.observability.telemetry import Label, counter, gauge, histogram
    from bridge_common.service.exports import stop_exports
    from bridge_common.service.lifecycle import set_up
    from bridge_common.service.settings import ServiceSettings, load_settings

    settings = load_settings(ServiceSettings)
    set_up("call-control", settings)
    log = logging.getLogger("call_control.test")
    log.info("call arrived", extra=fields(call_id="call_1", caller=phone("4:{NUMBER}"), text=words({WORDS!r})))
    log.warning("request to ACS failed", extra=fields(reason=redacted("{NUMBER} sent {TOKEN}"), tries=2, on=["a", 1]))
    refusal = redacted("no such party {NUMBER}")
    try:
        raise ValueError(refusal)
    except ValueError:
        log.exception("inbox entry failed; dropping it", extra=fields(call_id="call_1"))
    log.debug("not shown at INFO")
    logging.getLogger("opentelemetry.exporter").warning("collector is away")
    calls = counter("test_calls_total", "Calls", Label("status", ("ringing", "ended")))
    calls.labels("ringing").inc(3)
    gauge("test_depth", "Depth").set(7)
    delay = histogram("test_delay_seconds", "Delay", (0.1, 1.0))
    for value in (0.05, 0.5, 0.6, 5):
        delay.observe(value)
    stop_exports()
    """
)


@pytest.fixture
def receiver() -> Iterator[SpanReceiver]:
    with receiving_spans() as receiver:
        yield receiver


def run(**settings: str) -> list[dict[str, Any]]:
    """Run the program, and return the lines of its log on stderr."""
    quiet = {
        "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
        "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
        "no_proxy": "127.0.0.1",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "PORT": "0",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=kept | quiet | settings, capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stderr.splitlines()]


def test_the_exported_log_is_that_of_stderr(receiver: SpanReceiver) -> None:
    lines = run(OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=f"{receiver.url}/v1/logs", OTEL_LOGS_EXPORTER="otlp")
    ours = [line for line in lines if line["logger"] == "call_control.test"]
    assert [line["message"] for line in lines if line not in ours] == ["collector is away"]
    assert len(receiver.logs) == len(ours) == 3
    for line, exported in zip(ours, receiver.logs, strict=True):
        assert (exported.service, exported.logger) == ("call-control", line["logger"])
        assert (exported.message, exported.severity) == (line["message"], line["level"])
        said = {name: value for name, value in line.items() if name not in ("time", "level", "service", "logger")}
        del said["message"]
        if "exception" in said:
            said |= {"exception.type": "ValueError", "exception.stacktrace": said.pop("exception")}
        said = {name: str(value) if isinstance(value, list) else value for name, value in said.items()}
        assert exported.attributes == said
    everything = str(receiver.logs)
    for secret in (NUMBER, NUMBER[1:], TOKEN, WORDS):
        assert secret not in everything
    assert "[number] sent [token]" in everything


def test_azure_monitor_receives_the_log(receiver: SpanReceiver) -> None:
    connection_string = f"InstrumentationKey={KEY};IngestionEndpoint={receiver.url}/;LiveEndpoint={receiver.url}/"
    run(APPLICATIONINSIGHTS_CONNECTION_STRING=connection_string, OTEL_LOGS_EXPORTER="Azure_Monitor")
    messages = [one["data"]["baseData"] for one in receiver.envelopes if one["data"]["baseType"] == "MessageData"]
    assert [one["message"] for one in messages] == ["call arrived", "request to ACS failed"]
    assert messages[0]["properties"]["call_id"] == "call_1"
    assert {one["iKey"] for one in receiver.envelopes} == {KEY}
    failures = [one for one in receiver.envelopes if one["data"]["baseType"] == "ExceptionData"]
    assert "no such party [number]" in str(failures)
    assert NUMBER not in str(receiver.envelopes)


def test_metrics_are_exported_with_their_buckets(receiver: SpanReceiver) -> None:
    run(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_METRICS_EXPORTER="otlp")
    found = {metric.name: metric for metric in receiver.metrics}
    calls = {point.attributes[0].value.string_value: point.as_double for point in found["test_calls"].sum.data_points}
    assert calls == {"ringing": 3, "ended": 0}
    assert found["test_calls"].sum.is_monotonic
    [depth] = found["test_depth"].gauge.data_points
    assert depth.as_double == 7
    [delay] = found["test_delay_seconds"].histogram.data_points
    assert (delay.count, delay.sum) == (4, pytest.approx(6.15))
    assert list(delay.explicit_bounds) == [0.1, 1.0]
    assert list(delay.bucket_counts) == [1, 2, 1]
    assert not delay.HasField("min")
    assert {"bridge_build_info", "process_cpu_seconds"} <= set(found)


def test_nothing_is_exported_without_being_asked(receiver: SpanReceiver) -> None:
    run(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, OTEL_LOGS_EXPORTER="none", OTEL_METRICS_EXPORTER="")
    assert receiver.paths == []


def test_a_collector_that_is_away_delays_the_exit_by_seconds_only() -> None:
    lines = run(
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1", OTEL_LOGS_EXPORTER="otlp", OTEL_METRICS_EXPORTER="otlp"
    )
    assert lines[0]["message"] == "call arrived"
