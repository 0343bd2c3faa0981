from __future__ import annotations

from bench.metronome import Metronome, steps_due
from tests.support.eventually import eventually


def test_the_first_step_is_due_at_once_and_each_other_at_its_time() -> None:
    assert steps_due(-0.001, 50) == 0
    assert steps_due(0.0, 50) == 1
    assert steps_due(0.0199, 50) == 1
    assert steps_due(0.0201, 50) == 2
    assert steps_due(10.001, 50) == 501


async def test_steps_come_in_order_without_a_gap_until_it_is_stopped() -> None:
    seen: list[int] = []
    metronome = Metronome(2000, seen.append)
    await eventually(lambda: len(seen) >= 50, within_s=5)
    metronome.stop()
    assert seen == list(range(len(seen)))
    assert metronome.steps == len(seen)
    assert metronome.late < metronome.steps
