"""Traces are off by default; once enabled, spans go to the active exporter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from bridge_common.observability import tracing
from bridge_common.observability.tracing import Span
from bridge_common.service.lifecycle import start_tracing
from tests.support.recorded_spans import TRACEPARENT, RecordedSpans

SPAN = Span(name="answer", began_ms=1, ended_ms=2)


@pytest.fixture(autouse=True)
def off_again() -> Iterator[None]:
    yield
    tracing.use(None)


def test_off_means_nothing() -> None:
    assert not tracing.is_on()
    begun = tracing.begin(SPAN)
    begun.export()
    assert begun.traceparent == ""
    tracing.export(TRACEPARENT, SPAN)
    tracing.stop()


def test_on_means_told() -> None:
    told = RecordedSpans()
    tracing.use(told)
    assert tracing.is_on()
    begun = tracing.begin(SPAN)
    assert begun.traceparent == TRACEPARENT
    assert told.spans == []
    begun.export()
    tracing.export(TRACEPARENT, SPAN)
    assert told.spans == [("", SPAN), (TRACEPARENT, SPAN)]
    tracing.stop()
    assert told.stopped
    assert not tracing.is_on()


def test_a_call_that_is_not_traced_stays_so() -> None:
    told = RecordedSpans()
    tracing.use(told)
    tracing.export("", SPAN)
    assert told.spans == []


def test_a_process_that_does_not_trace_does_not_load_the_libraries() -> None:
    program = (
        "import sys; from bridge_common.service.lifecycle import start_tracing;"
        "start_tracing('x', 'x-1', otlp=False, connection_string='');"
        "print([name for name in sys.modules if name.partition('.')[0] in ('opentelemetry', 'google', 'requests')])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_without_the_libraries_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bridge_common.observability.trace_export", None)
    with pytest.raises(SystemExit, match=r"bridge-common\[telemetry,azure-monitor\]"):
        start_tracing("x", "x-1", otlp=True, connection_string="")
