"""Metrics as Prometheus reads them."""

from __future__ import annotations

import platform
from typing import Final

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from bridge_common.observability import telemetry
from bridge_common.observability.telemetry import OTHER, Label

OPENMETRICS: Final = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
"""The header of Prometheus."""
SAMPLED: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NOT_SAMPLED: Final = f"{SAMPLED[:-2]}00"


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


def test_the_series_of_a_closed_set_exist_from_the_start() -> None:
    telemetry.counter("test_started_total", "Started", Label("kind", ("a", "b")), Label("outcome", ("x", "y")))
    telemetry.histogram("test_started_seconds", "Started", (1.0,), Label("kind", ("a",)))
    found = samples()
    assert {name: found[name] for name in found if name.startswith("test_started_total")} == dict.fromkeys(
        ("test_started_totalax", "test_started_totalay", "test_started_totalbx", "test_started_totalby"), 0
    )
    assert found["test_started_seconds_counta"] == 0


def test_only_the_possible_series_exist_if_they_are_listed() -> None:
    labels = Label("kind", ("a", "b")), Label("outcome", ("x", "y"))
    telemetry.counter("test_listed_total", "Listed", *labels, series=[("a", "x"), ("b", "y")])
    assert {name for name in samples() if name.startswith("test_listed_total")} == {
        "test_listed_totalax",
        "test_listed_totalby",
    }


def test_a_product_that_is_too_large_must_be_listed() -> None:
    many = [str(number) for number in range(telemetry.MOST_SERIES + 1)]
    with pytest.raises(ValueError, match="257 series, more than 256; list the possible ones"):
        telemetry.counter("test_huge_total", "Huge", Label("number", many))


def test_there_are_no_series_for_times_of_creation() -> None:
    telemetry.counter("test_born_total", "Born").inc()
    assert "_created" not in telemetry.render()[0].decode()
    assert "_created" not in telemetry.render(OPENMETRICS)[0].decode()


def test_exemplars_are_for_clients_that_read_openmetrics() -> None:
    histogram = telemetry.histogram("test_traced_seconds", "Traced", (1.0,))
    histogram.observe(0.5, telemetry.exemplar(SAMPLED))
    histogram.observe(2.0, telemetry.exemplar(NOT_SAMPLED))
    body, content_type = telemetry.render(OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    parsed = openmetrics_families(body.decode())  # type: ignore[no-untyped-call]  # the library leaves it bare
    families = {family.name: family for family in parsed}
    buckets = {
        sample.labels["le"]: sample
        for sample in families["test_traced_seconds"].samples
        if sample.name.endswith("_bucket")
    }
    exemplar = buckets["1.0"].exemplar
    assert exemplar is not None
    assert (exemplar.labels, exemplar.value) == ({"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}, 0.5)
    assert buckets["+Inf"].exemplar is None, "the trace of this call is not exported"
    body, content_type = telemetry.render("text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert b"trace_id" not in body
    assert {family.name for family in text_string_to_metric_families(body.decode())} >= {"test_traced_seconds"}


@pytest.mark.parametrize("traceparent", ["", "no traceparent", NOT_SAMPLED])
def test_a_call_without_an_exported_trace_has_no_exemplar(traceparent: str) -> None:
    assert telemetry.exemplar(traceparent) is None


def test_the_build_is_one_series() -> None:
    telemetry.set_build("media-gateway", "1.2.3", "")
    telemetry.set_build("media-gateway", "1.2.3", "0a1b2c3")
    build = [line for line in telemetry.render()[0].decode().splitlines() if line.startswith("bridge_build_info{")]
    python = f'python="{platform.python_version()}"'
    rest = 'revision="0a1b2c3",service="media-gateway",version="1.2.3"'
    assert build == [f"bridge_build_info{{{python},{rest}}} 1.0"]
