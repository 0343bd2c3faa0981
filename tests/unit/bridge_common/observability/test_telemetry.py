"""Metrics as Prometheus reads them."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge_common.observability import telemetry
from bridge_common.observability.telemetry import OTHER, Label


def samples() -> dict[str, float]:
    families = text_string_to_metric_families(telemetry.render()[0].decode())
    return {
        sample.name + "".join(sorted(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_what_every_process_has_is_there() -> None:
    found = samples()
    assert "bridge_active_calls" in found
    assert "bridge_draining" in found
    assert any(name.startswith("process_cpu_seconds") for name in found)


def test_counters_gauges_and_histograms_are_rendered() -> None:
    counter = telemetry.counter("test_frames_total", "Frames", Label("direction", ("up", "down")))
    gauge = telemetry.gauge("test_depth", "Depth")
    histogram = telemetry.histogram("test_delay_seconds", "Delay", (0.1, 1.0))
    counter.labels("up").inc(3)
    gauge.set(7)
    for value in (0.05, 0.5, 5):
        histogram.observe(value)
    found = samples()
    assert found["test_frames_totalup"] == 3
    assert found["test_depth"] == 7
    assert (found["test_delay_seconds_bucket0.1"], found["test_delay_seconds_bucket1.0"]) == (1, 2)
    assert found["test_delay_seconds_count"] == 3


def test_a_value_that_is_none_of_a_label_is_counted_as_other() -> None:
    counter = telemetry.counter("test_closed_total", "Closed", Label("code", ("1000",)), Label("from", most=2))
    for code in range(1000, 4000):
        counter.labels(str(code), "here").inc()
    for sender in ("here", "there", "elsewhere", "nowhere"):
        counter.labels(1000, sender).inc()
    found = {name: value for name, value in samples().items() if name.startswith("test_closed_total")}
    assert found == {
        "test_closed_total1000here": 2,
        "test_closed_totalhereother": 2999,
        "test_closed_total1000there": 1,
        "test_closed_total1000other": 2,
    }
    assert OTHER == "other"
    with pytest.raises(ValueError, match="zip"):
        counter.labels("1000")


def test_a_name_is_taken_once() -> None:
    telemetry.gauge("test_taken", "One")
    with pytest.raises(ValueError, match="Duplicated"):
        telemetry.gauge("test_taken", "Two")


def test_the_content_type_names_the_format() -> None:
    assert "version=0.0.4" in telemetry.CONTENT_TYPE
