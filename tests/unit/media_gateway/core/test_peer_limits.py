from __future__ import annotations

from media_gateway.core.peer_limits import BURST, BURST_S, MOST_CALLS, PER_S, AttachLimit, Pace


def stream(pace: Pace, *, times_real_time: float, seconds: float, begin: float = 0.0) -> bool:
    """Whether messages of 20 ms at this speed stay within the limit."""
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


def test_each_of_several_speakers_may_use_the_limit() -> None:
    pace = Pace(0.0)
    assert not stream(pace, times_real_time=5.0, seconds=60)
    pace = Pace(0.0)
    pace.speakers = 4
    assert stream(pace, times_real_time=5.0, seconds=600), "five participants"
    assert not stream(pace, times_real_time=20.0, seconds=60)


def test_a_flood_of_sockets_of_one_call_is_refused_and_others_are_not() -> None:
    limit = AttachLimit()
    taken = [limit.take("a", 10.0 + number / 570) for number in range(570)]
    assert BURST <= sum(taken) <= BURST + PER_S
    assert taken[:BURST] == [True] * BURST
    assert limit.take("b", 11.0)
    assert limit.take("a", 13.0)
    assert limit.take("c", 13.0)


def test_a_call_that_is_redialled_now_and_then_is_never_refused() -> None:
    limit = AttachLimit()
    assert all(limit.take("a", 10.0 + 1.1 * number) for number in range(100))


def test_calls_that_are_over_are_forgotten() -> None:
    limit = AttachLimit()
    for number in range(5 * MOST_CALLS):
        assert limit.take(f"call_{number}", number / 100)
    assert len(limit) <= MOST_CALLS + 1
