from __future__ import annotations

from bench.bridges import Bridge
from bench.runs import Figures, Labels, alternate, case_name, figures_text, run_name
from lab.stack import StackError
from lab.wire import WireError

CASES: list[Labels] = [{"calls": 10, "shape": "echo"}, {"calls": 10, "shape": "deltas"}]


def test_the_order_of_the_bridges_alternates() -> None:
    order: list[tuple[object, Bridge]] = []

    def measure(labels: Labels, bridge: Bridge) -> Figures:
        order.append((labels["shape"], bridge))
        return {"ms": len(order)}

    runs, failures = alternate(2, CASES, measure)
    ours, reference = Bridge
    assert [bridge for _, bridge in order] == [ours, reference] * 2 + [reference, ours] * 2
    assert [shape for shape, _ in order] == ["echo", "echo", "deltas", "deltas"] * 2
    assert [run.bridge for run in runs] == [ours, reference] * 4
    assert not failures
    assert [run.figures["ms"] for run in runs] == [1, 2, 3, 4, 6, 5, 8, 7]


def test_failures_are_listed_and_the_rest_is_measured() -> None:
    def measure(labels: Labels, bridge: Bridge) -> Figures:
        if bridge is Bridge.OURS and labels["shape"] == "echo":
            raise WireError("timed out")
        return {}

    runs, failures = alternate(2, CASES, measure)
    assert failures == ["10 calls, echo, ours: WireError('timed out')"] * 2
    assert [run.labels["shape"] for run in runs] == ["deltas"] * 4, "a run without its partner has no use"


def test_our_services_can_be_measured_without_the_reference() -> None:
    def measure(labels: Labels, _: Bridge) -> Figures:
        if labels["shape"] == "echo":
            raise StackError("it died")
        return {}

    runs, failures = alternate(1, CASES, measure, [Bridge.OURS])
    assert [run.bridge for run in runs] == [Bridge.OURS]
    assert len(failures) == 1


def test_names_of_cases_and_runs() -> None:
    assert case_name({"service": "media-gateway", "calls": 20}) == "media-gateway, 20 calls"
    assert run_name({"calls": 20}, "ours") == "20 calls, ours"
    assert run_name({}, "ours") == "ours"
    assert figures_text({"a": 1.0, "b": 2.25, "c": 3.0, "d": 4.0, "e": 5.0}) == "a 1.0, b 2.2, c 3.0, d 4.0"
