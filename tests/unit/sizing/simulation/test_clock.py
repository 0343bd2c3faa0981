"""Events in order of time."""

from __future__ import annotations

from functools import partial

from sizing.simulation.clock import Clock


def test_events_are_executed_in_order_of_time_and_of_adding() -> None:
    clock, seen = Clock(-5.0), list[tuple[str, float]]()

    def note(name: str) -> None:
        seen.append((name, clock.now))

    for name, delay_s in (("late", 3.0), ("first", 1.0), ("second", 1.0), ("never", 20.0)):
        clock.after(delay_s, partial(note, name))
    clock.run(2.0)
    assert seen == [("first", -4.0), ("second", -4.0), ("late", -2.0)]
    assert clock.now == 2.0


def test_periodic_events() -> None:
    clock, times = Clock(), list[float]()
    clock.every(2.0, lambda: times.append(clock.now))
    clock.run(7.0)
    assert times == [2.0, 4.0, 6.0]
