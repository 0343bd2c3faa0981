from __future__ import annotations

import os
import threading
import time
from itertools import count

import psutil
import pytest

from bench import core_speed
from bench.core_speed import EVERY_S, Beat, Slowed, SpeedWatch, slowed, used_per_s

USUAL_S = 0.000_1


def beats(*works: float, used_s: float = 0.0) -> list[Beat]:
    """One each 10 ms from second 100 on; `works`: how many times the usual time each took; `used_s`: by a process,
    from each to the next."""
    return [
        Beat(began=100 + index / 100, ended=100.001 + index / 100, work_s=work * USUAL_S, used_s=(index * used_s,))
        for index, work in enumerate(works)
    ]


def windows(out: Slowed) -> list[tuple[float, float]]:
    return [(round(begin - 100, 4), round(end - 100, 4)) for begin, end in out.windows]


def test_slowed_is_from_the_last_beat_at_full_speed_to_as_long_again_after_the_last_slow_one() -> None:
    assert windows(slowed(beats(1, 1, 1, 12, 5, 1, 1, 1))) == [(0.021, 0.041 + 0.020)]


def test_a_core_of_which_the_other_half_works_is_not_slowed() -> None:
    assert slowed(beats(1, 1, 2, 2.5, 3.9, 1, 1, 1)) == Slowed()


def test_what_comes_before_the_last_was_worked_off_is_one_with_it() -> None:
    assert windows(slowed(beats(1, 1, 1, 12, 12, 1, 12, 1, 1, 1))) == [(0.021, 0.061 + 0.010)]
    assert windows(slowed(beats(1, 1, 12, 1, 1, 1, 1, 1, 12))) == [(0.011, 0.031), (0.071, 0.081)]


def test_of_hardly_any_beats_nothing_is_known() -> None:
    assert slowed(beats(1)) == slowed([]) == Slowed()


def test_when_something_began_says_whether_it_counts_and_not_how_long_it_took() -> None:
    out = Slowed(((10.0, 10.1), (11.0, 11.2)))
    assert [t for t in (9.9, 9.99, 10.0, 10.1, 10.11, 11.1, 11.3) if out.within(t)] == [10.0, 10.1, 11.1]
    assert out.within(9.99, before_s=0.02)
    assert not out.within(9.97, before_s=0.02)
    assert not Slowed().within(10.0, before_s=1.0)


def test_the_share_of_a_window() -> None:
    out = Slowed(((10.0, 10.1), (11.0, 11.2)))
    assert out.pct((10.0, 11.0)) == 10.0
    assert out.pct((9.0, 13.0)) == 7.5
    assert out.pct((11.1, 11.2)) == 100.0
    assert out.pct((10.0, 10.0)) == 0.0


def test_cpu_counts_while_the_cores_ran_at_their_speed() -> None:
    taken = beats(1, 1, 1, 1, 12, 1, 1, 1, used_s=0.002)
    hurried = [
        Beat(b.began, b.ended, b.work_s, (b.used_s[0] + (0.008 if index >= 4 else 0.0),))
        for index, b in enumerate(taken)
    ]
    out = slowed(hurried)
    assert used_per_s(hurried, ["one"], out)["one"] == pytest.approx(0.2)
    assert used_per_s(hurried, ["one"], Slowed())["one"] == pytest.approx((7 * 0.002 + 0.008) / 0.07)
    assert used_per_s(hurried, ["one"], Slowed(((0.0, 200.0),))) == {}


def test_a_watch_sees_slow_work(monkeypatch: pytest.MonkeyPatch) -> None:
    done = count()
    enough = threading.Event()

    def work_s() -> float:
        index = next(done)
        if index == 40:
            enough.set()
        return 12 * USUAL_S if 20 <= index < 24 else USUAL_S

    monkeypatch.setattr(core_speed, "_work_s", work_s)
    with SpeedWatch() as watch:
        assert enough.wait(10)
    (begin, end), *others = watch.slowed.windows
    assert not others
    assert end - begin >= 2 * 4 * EVERY_S, "four beats, and as long again"


def test_a_watch_tells_what_a_process_used() -> None:
    before_s, began = time.process_time(), time.monotonic()
    with SpeedWatch({"self": os.getpid()}) as watch:
        while time.process_time() - before_s < 0.3:
            pass
    lasted_s = time.monotonic() - began
    # Slowed or not: what it used in the time that counts is about what it used in all.
    assert watch.used_per_s()["self"] == pytest.approx(0.3 / lasted_s, rel=0.5)


def test_a_process_that_is_gone_is_told() -> None:
    def watch() -> None:
        with SpeedWatch({"gone": 2**22 + 1}):
            time.sleep(10 * EVERY_S)

    with pytest.raises(psutil.Error):
        watch()
