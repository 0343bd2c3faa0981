from __future__ import annotations

import os
import time
from itertools import count

import pytest

from bench.process_time import cpu_s, rss_bytes, waited_s


def test_work_takes_cpu_time() -> None:
    before = cpu_s(os.getpid())
    assert any(cpu_s(os.getpid()) - before > 0.02 for _ in count())


def test_it_is_the_time_of_the_whole_process() -> None:
    before = time.process_time()
    told = cpu_s(os.getpid())
    assert before <= told <= time.process_time()


def test_without_a_clock_of_the_process_there_are_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_clock(_: int) -> float:
        raise OSError

    monkeypatch.setattr("bench.process_time.time.clock_gettime", no_clock)
    spent = os.times()
    # The system counts ticks, so it may be off by some in a process that ran for long.
    assert cpu_s(os.getpid()) == pytest.approx(spent.user + spent.system, rel=0.05, abs=0.5)


def test_a_process_has_memory_and_never_waited_for_less_than_nothing() -> None:
    assert rss_bytes(os.getpid()) > 2**20
    assert waited_s(os.getpid()) >= 0
