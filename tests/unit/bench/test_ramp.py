from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.bridges import Bridge, Shape
from bench.ramp import measure, within_limit
from bench.runs import Figures, Options, Run
from lab.stack import StackError

MakeRun = Callable[..., Run]


def test_a_step_is_within_the_limit_until_a_p99_breaks_it_or_a_frame_is_lost(call_run: MakeRun) -> None:
    assert within_limit(call_run().figures)
    for wrong in ({"frames at fault": 1}, {"calls not answered": 1}, {"downlink p99, ms": 50.5}, {"frames": 0}):
        assert not within_limit(call_run(**wrong).figures)


def test_calls_are_raised_until_the_limit_is_broken(call_run: MakeRun) -> None:
    def run(bridge: Bridge, _shape: Shape, calls: int, _seconds: float, _folder: Path) -> Figures:
        figures: Figures = call_run(bridge, calls=calls, p99=calls if bridge is Bridge.OURS else calls / 2).figures
        return figures

    outcome = measure(Options(), run)
    assert [run.labels["calls"] for run in outcome.runs] == [20, 40, 60, 20, 40, 60, 80, 100, 120]
    assert list(outcome.notes[1:]) == ["Within the limit, ours: 40 calls.", "Within the limit, reference: 100 calls."]


def test_a_step_that_fails_ends_the_ramp(call_run: MakeRun) -> None:
    def run(_bridge: Bridge, _shape: Shape, calls: int, _seconds: float, _folder: Path) -> Figures:
        if calls > 40:
            raise StackError("it died")
        figures: Figures = call_run(calls=calls).figures
        return figures

    outcome = measure(Options(), run)
    assert list(outcome.failures) == ["60 calls, ours: it died", "60 calls, reference: it died"]
    assert outcome.notes[-1] == "Within the limit, reference: 40 calls."
