from __future__ import annotations

from typing import Any

from prometheus_client.openmetrics import parser as openmetrics_parser

from lab.open_metrics import SampleBook

FIRST = """\
# HELP bridge_calls_total Calls
# TYPE bridge_calls_total counter
bridge_calls_total{status="ended"} 1.0
# TYPE bridge_calls_created gauge
bridge_calls_created{status="ended"} 1.7e+09
# TYPE bridge_wait_seconds histogram
bridge_wait_seconds_bucket{le="0.5"} 1.0
bridge_wait_seconds_bucket{le="+Inf"} 2.0
bridge_wait_seconds_count 2.0
bridge_wait_seconds_sum 0.75
# TYPE bridge_draining gauge
bridge_draining 0.0
# TYPE python_info gauge
python_info{version="3.13"} 1.0
"""


def recorded() -> str:
    book = SampleBook()
    for at_s, text in ((100.0, FIRST), (102.0, FIRST.replace('{status="ended"} 1.0', '{status="ended"} 3.0'))):
        for pod in ("a", "b"):
            book.add(text, at_s, {"pod": pod})
            book.add_up(at_s, {"pod": pod}, up=pod == "a")
    return book.text()


def test_the_recording_is_openmetrics_with_the_time_of_each_sample() -> None:
    # The parser cannot read histograms with times; Prometheus reads them in tests/observability.
    text = "".join(line for line in recorded().splitlines(keepends=True) if "bridge_wait_seconds" not in line)
    parsed: Any = openmetrics_parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    families = {family.name: family for family in parsed}
    assert {name: family.type for name, family in families.items()} == {
        "bridge_calls": "counter",
        "bridge_draining": "gauge",
        "up": "gauge",
    }
    calls = families["bridge_calls"].samples
    assert [(sample.labels["pod"], sample.value, float(sample.timestamp)) for sample in calls if sample.timestamp] == [
        *(("a", 1.0, 100.0), ("a", 3.0, 102.0)),
        *(("b", 1.0, 100.0), ("b", 3.0, 102.0)),
    ]
    assert calls[0].labels == {"status": "ended", "pod": "a"}


def test_up_is_the_result_of_each_scrape() -> None:
    assert 'up{pod="a"} 1 100.000\nup{pod="a"} 1 102.000\nup{pod="b"} 0 100.000' in recorded()


def test_creation_times_and_metrics_of_python_are_left_out() -> None:
    text = recorded()
    assert "_created" not in text
    assert "python_info" not in text


def test_the_parts_of_a_histogram_are_in_one_family() -> None:
    lines = recorded().splitlines()
    begin = lines.index("# TYPE bridge_wait_seconds histogram")
    names = [line.partition("{")[0].removeprefix("bridge_wait_seconds_") for line in lines[begin + 1 : begin + 17]]
    assert names == ["bucket", "bucket", "count", "sum"] * 4
