from __future__ import annotations

import os
from itertools import count

import pytest

from bench.process_time import cpu_s, rss_bytes, waited_s


def test_work_takes_cpu_time() -> None:
    before = cpu_s(os.getpid())
    assert any(cpu_s(os.getpid()) - before > 0.02 for _ in count())


def test_without_the_schedulers_own_figure_there_are_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = cpu_s(os.getpid())
    monkeypatch.setattr("bench.process_time._scheduled", lambda pid, column: 0)
    assert cpu_s(os.getpid()) == pytest.approx(exact, abs=0.5)


def test_a_process_has_memory_and_never_waited_for_less_than_nothing() -> None:
    assert rss_bytes(os.getpid()) > 2**20
    assert waited_s(os.getpid()) >= 0
