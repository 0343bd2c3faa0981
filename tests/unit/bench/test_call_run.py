from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import psutil

from bench.call_run import clean, steal_pct
from bench.runs import Run


def test_steal_is_a_share_of_the_busy_time() -> None:
    before = SimpleNamespace(user=100.0, system=10.0, steal=7.0, idle=5000.0)
    after = SimpleNamespace(user=104.0, system=14.0, steal=9.0, idle=5090.0)
    assert steal_pct(before, after) == 20.0


def test_without_steal_there_is_none() -> None:
    before, after = SimpleNamespace(user=100.0, system=10.0), SimpleNamespace(user=104.0, system=14.0)
    assert steal_pct(before, after) == steal_pct(before, before) == 0.0
    now = psutil.cpu_times()
    assert steal_pct(now, now) == 0.0


def test_a_clean_run_answered_every_call_and_lost_no_frame(call_run: Callable[..., Run]) -> None:
    assert clean(call_run().figures)
    for wrong in ({"frames at fault": 1}, {"calls not answered": 1}, {"frames": 0}):
        assert not clean(call_run(**wrong).figures)
