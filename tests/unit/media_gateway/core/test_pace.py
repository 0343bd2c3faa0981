from __future__ import annotations

from media_gateway.core.pace import BURST_S, Pace


def stream(pace: Pace, *, times_real_time: float, seconds: float, begin: float = 0.0) -> bool:
    """Whether 20 ms messages at this speed keep the pace all the time."""
    step = 0.02 / times_real_time
    return all(pace.keeps(0.02, begin + index * step) for index in range(int(seconds / step)))


def test_real_time_and_a_bit_more_may_go_on_for_ever() -> None:
    assert stream(Pace(0.0), times_real_time=1.0, seconds=600)
    assert stream(Pace(0.0), times_real_time=3.9, seconds=600)


def test_a_burst_after_a_stall_is_no_offence() -> None:
    pace = Pace(0.0)
    assert all(pace.keeps(0.02, 100.0) for _ in range(int((BURST_S - 1) / 0.02)))
    assert stream(pace, times_real_time=1.0, seconds=60, begin=100.0)


def test_ten_times_real_time_is_stopped_within_seconds() -> None:
    assert stream(Pace(0.0), times_real_time=10.0, seconds=1.0)
    assert not stream(Pace(0.0), times_real_time=10.0, seconds=2.0)
