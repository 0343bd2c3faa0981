from __future__ import annotations

from typing import NamedTuple

import psutil
import pytest

from bench import interference
from bench.interference import (
    ATTEMPTS,
    Interference,
    Moment,
    Watch,
    fixed_work_ms,
    least_disturbed,
    least_disturbed_whole,
    table,
)


class LinuxTimes(NamedTuple):
    user: float
    nice: float
    system: float
    idle: float
    iowait: float
    irq: float
    softirq: float
    steal: float
    guest: float
    guest_nice: float


class OtherTimes(NamedTuple):
    user: float
    nice: float
    system: float
    idle: float


def told(monkeypatch: pytest.MonkeyPatch, times: LinuxTimes | OtherTimes) -> Moment:
    monkeypatch.setattr(psutil, "cpu_times", lambda: times)
    return Moment.now()


def test_stolen_is_a_part_of_the_time_with_something_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    before = told(monkeypatch, LinuxTimes(100, 1, 10, 5000, 20, 1, 2, 7, 30, 1))
    after = told(monkeypatch, LinuxTimes(104, 1, 12, 5090, 25, 2, 3, 9, 31, 1))
    assert after.worked_s - before.worked_s == 4 + 2 + 1 + 1, "guests are in user already"
    assert before.stolen_pct(after) == pytest.approx(100 * 2 / 10, abs=0.1)


def test_nothing_is_stolen_where_the_system_does_not_tell_or_nothing_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    before = told(monkeypatch, OtherTimes(100, 1, 10, 5000))
    assert before.stolen_pct(before) == 0
    assert before.stolen_pct(told(monkeypatch, OtherTimes(105, 1, 10, 5000))) == 0


def test_a_watch_tells_of_its_own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    works = iter([[2.0, 4.0], [1.0, 3.0]])
    monkeypatch.setattr(interference, "fixed_work_ms", lambda: next(works))
    found = Watch().interference()
    assert found.work_ms == (1.0, 2.5)
    assert 0 <= found.stolen_pct <= 100


def test_the_same_work_is_measured_many_times() -> None:
    works = fixed_work_ms()
    assert len(works) == 50
    assert min(works) > 0


def test_the_table_has_a_row_for_each_part() -> None:
    parts = {"calls": Interference(6.5, 1.5, (0.8, 1.2)), "answer": Interference(0.0, 0.9, (0.8, 0.8))}
    found = table(parts)
    assert found.rows == [["calls", 6.5, 1.5, 0.8, 1.2], ["answer", 0.0, 0.9, 0.8, 0.8]]
    assert all(len(row) == len(found.columns) for row in found.rows)


def test_what_was_measured_undisturbed_counts_at_once() -> None:
    attempts = iter([("first", 5.0), ("second", 0.0)])
    assert least_disturbed(lambda: next(attempts)) == "first"


def test_what_was_disturbed_is_measured_again_whatever_came_of_it() -> None:
    attempts = iter([("bad", 30.0), ("fine", 2.0), ("never", 0.0)])
    assert least_disturbed(lambda: next(attempts)) == "fine"


def test_after_the_last_attempt_the_least_disturbed_counts() -> None:
    attempts = iter([("bad", 30.0), ("less", 12.0), ("worse", 40.0), ("never", 0.0)])
    assert ATTEMPTS == 3
    assert least_disturbed(lambda: next(attempts)) == "less"


def test_what_does_not_tell_is_watched_from_its_beginning_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    began = LinuxTimes(100, 1, 10, 5000, 20, 1, 2, 7, 30, 1)
    disturbed, quiet = began._replace(user=109, steal=8), began._replace(user=110, steal=7)
    clock = iter([began, disturbed, began, quiet])
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(clock))
    results = iter(["disturbed", "quiet", "never"])
    assert least_disturbed_whole(lambda: next(results)) == "quiet"
