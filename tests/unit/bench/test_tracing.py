"""The table of what traces cost, and the collector that counts spans."""

from __future__ import annotations

import pytest

from bench.tracing import OFF, ON, collecting, table
from bridge_common.observability.trace_export import open_tracing
from bridge_common.observability.tracing import Span


def test_the_ratio_is_that_of_pairs() -> None:
    cpu = {
        OFF: {"call-control": [1.0, 1.0, 1.0], "media-gateway": [4.0, 4.0, 9.0], "agent-relay": [5.0, 5.0, 5.0]},
        ON: {"call-control": [1.0, 1.1, 1.2], "media-gateway": [4.0, 4.1, 4.2], "agent-relay": [5.0, 5.1, 9.0]},
    }
    found = table(cpu, 40, [300, 310, 320])
    assert [row[0] for row in found.rows] == [OFF, ON]
    assert [row[-1] for row in found.rows] == ["1.000", "1.000 (0.960–1.030)"]
    assert "310" in found.notes[-1]


def test_spans_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        tracing = open_tracing("agent-relay", "relay-1", otlp=True, connection_string="")
        for _ in range(3):
            tracing.begin(Span(name="turn", began_ms=1, ended_ms=2)).tell()
        tracing.stop()
        assert collector.spans == 3
