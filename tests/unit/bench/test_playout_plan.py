from __future__ import annotations

import pytest

from bench.playout_plan import Lead, delays_ms, first_frames, planned

ALWAYS = (0.0, 100.0)


def deltas(*sizes: int, every_s: float = 0.25) -> list[tuple[int, float]]:
    """Frames as an agent sends them: so many at once, one delta each quarter of a second."""
    sent: list[tuple[int, float]] = []
    for index, size in enumerate(sizes):
        sent += [(len(sent) + n, 1.0 + index * every_s) for n in range(size)]
    return sent


def test_within_the_lead_everything_leaves_at_once_and_then_in_real_time() -> None:
    plan = planned(deltas(13), lead_s=0.2)
    assert [plan[seq] for seq in range(11)] == pytest.approx([1.0] * 11)
    assert [plan[11], plan[12]] == pytest.approx([1.02, 1.04])


def test_a_delta_in_time_finds_the_queue_within_the_lead() -> None:
    plan = planned(deltas(12, 13, 12), lead_s=0.2)
    assert [plan[seq] for seq in (0, 12, 25)] == pytest.approx([1.0, 1.25, 1.5])


def test_a_reply_faster_than_real_time_waits_for_its_turn() -> None:
    plan = planned(deltas(50, 50, every_s=0.0), lead_s=0.2)
    assert plan[99] == pytest.approx(1.0 + 99 * 0.02 - 0.2)


def test_without_a_playout_nothing_waits() -> None:
    assert set(planned(deltas(13, 12), lead_s=None).values()) == {1.0, 1.25}


def test_only_first_frames_are_judged_and_against_the_plan() -> None:
    sent = deltas(12, 13, 12)
    assert [seq for seq, _ in first_frames(sent)] == [0, 12, 25]
    heard_at = {seq: t + 0.004 for seq, t in planned(sent, 0.2).items()}
    assert delays_ms(sent, heard_at, 0.2, ALWAYS) == pytest.approx([4.0, 4.0, 4.0])
    assert delays_ms(sent, heard_at, 0.2, (1.2, 1.3)) == pytest.approx([4.0])
    del heard_at[12]
    assert len(delays_ms(sent, heard_at, 0.2, ALWAYS)) == 2


def test_frames_one_by_one_are_all_first_frames() -> None:
    sent = deltas(1, 1, 1, every_s=0.02)
    heard_at = {seq: t + 0.003 for seq, t in sent}
    assert delays_ms(sent, heard_at, 0.2, ALWAYS) == pytest.approx([3.0, 3.0, 3.0])


def test_the_lead_is_the_sound_that_is_still_to_come() -> None:
    lead = Lead()
    lead.add([1.0, 1.0, 1.0, 1.05], ALWAYS)
    assert lead.ms == pytest.approx([0.0, 20.0, 40.0, 10.0])
    assert lead.gaps == 1
    lead.add([1.0, 1.5], (1.2, 2.0))
    assert lead.gaps == 2
    assert len(lead.ms) == 5
