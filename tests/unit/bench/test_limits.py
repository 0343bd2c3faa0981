from __future__ import annotations

import json
from dataclasses import asdict

from bench.bridges import Bridge, Shape
from bench.limits import table
from tests.unit.support.bench_runs import made_run

SLOWER = {"p99": 99.0, "count": 100}
"""Of all time."""


def kept(whole: dict[str, object]) -> dict[str, str]:
    found = table(json.loads(json.dumps(whole)))
    assert found is not None
    return {str(row[0]): str(row[3]) for row in found.rows}


def measured(cpu_ms: float, lost: int = 0) -> dict[str, object]:
    runs = [
        asdict(made_run(bridge, shape=shape, cpu_ms=cpu_ms if bridge is Bridge.OURS else 9.0, lost=lost))
        for bridge in Bridge
        for shape in Shape
    ]
    return {"runs": runs}


def test_what_is_within_its_limit_is_kept() -> None:
    whole: dict[str, object] = {
        "calls": measured(7.5),
        "barge-in": {"calls": 40, "ours": {"p99": 9.0, "count": 100, "missed": 0, "all_time": SLOWER}},
        "answer": {"p99": 49.0, "count": 90, "calls": 100, "all_time": SLOWER},
        "greeting": {"p99": 59.0, "count": 100, "calls": 100, "all_time": SLOWER},
    }
    rows = kept(whole)
    assert set(rows.values()) == {"yes"}
    assert len(rows) == 2 * 8 + 4 + 6


def test_what_is_not_is_told() -> None:
    rows = kept(
        {"calls": measured(12.0, lost=2), "answer": {"p99": 51.0, "count": 90, "calls": 101, "all_time": SLOWER}}
    )
    assert {name for name, yes in rows.items() if yes == "NO"} == {
        "deltas: CPU of all our processes and Redis, ms/s/call",
        "deltas: the same, to the reference bridge, ratio",
        "deltas: frames lost, repeated, disordered or foreign, count",
        "echo: CPU of all our processes and Redis, ms/s/call",
        "echo: the same, to the reference bridge, ratio",
        "echo: frames lost, repeated, disordered or foreign, count",
        "IncomingCall to answer request, p99, ms",
        "IncomingCall to answer request: calls that did not come so far, count",
    }


def test_of_nothing_no_limit_is_kept() -> None:
    rows = kept({"answer": {"p99": 0.0, "count": 0, "calls": 100, "all_time": {"p99": 0.0, "count": 0}}})
    assert set(rows.values()) == {"NO"}


def test_what_it_is_of_all_time_stands_beside_it() -> None:
    found = table({"calls": measured(7.5), "answer": {"p99": 49.0, "count": 100, "calls": 100, "all_time": SLOWER}})
    assert found is not None
    beside = {str(row[0]): row[1:] for row in found.rows}
    assert beside["deltas: CPU of all our processes and Redis, ms/s/call"] == ["7.50", "8", "yes", "8.50 NO"]
    assert beside["deltas: the same, to the reference bridge, ratio"] == ["0.83", "1", "yes", "0.85"]
    assert beside["echo: downlink delay p99, ms"] == ["7.00", "8", "yes", "18.00 NO"]
    assert beside["IncomingCall to answer request, p99, ms"] == ["49.0", "50", "yes", "99.0 NO"]
    assert beside["echo: calls not answered, count"] == ["0", "0", "yes", ""]


def test_other_sizes_are_not_judged() -> None:
    assert table({"calls": {"runs": [json.loads(json.dumps(asdict(made_run(calls=20))))]}}) is None
    assert table({}) is None
