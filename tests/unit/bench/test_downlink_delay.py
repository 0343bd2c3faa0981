from __future__ import annotations

import pytest

from bench.downlink_delay import delays_ms, sent_at_once, underruns

ALWAYS = (0.0, 100.0)


def deltas(*sizes: int, every_s: float = 0.25) -> list[tuple[int, float]]:
    """Frames as an agent sends them: one delta of several frames each quarter of a second."""
    sent: list[tuple[int, float]] = []
    for index, size in enumerate(sizes):
        sent += [(len(sent) + n, 1.0 + index * every_s) for n in range(size)]
    return sent


def test_a_delta_in_time_finds_the_queue_within_the_lead() -> None:
    assert [seq for seq, _ in sent_at_once(deltas(12, 13, 12), 0.2)] == [0, 12, 25]


def test_after_a_hiccup_the_sound_is_ahead_and_first_frames_wait() -> None:
    sent = [(seq, t + 0.2 if seq < 12 else t) for seq, t in deltas(12, 13, 12, 13)]
    assert [seq for seq, _ in sent_at_once(sent, 0.2)] == [0]
    assert [seq for seq, _ in sent_at_once(sent, None)] == [0, 12, 25, 37]


def test_a_reply_faster_than_real_time_leaves_at_once_only_in_the_beginning() -> None:
    assert [seq for seq, _ in sent_at_once(deltas(12, 13, 12, every_s=0.03), 0.2)] == [0]


def test_only_frames_sent_within_the_window_and_heard_count() -> None:
    sent = deltas(12, 13, 12)
    heard_at = {seq: t + 0.004 for seq, t in sent}
    assert delays_ms(sent, heard_at, 0.2, ALWAYS) == pytest.approx([4.0, 4.0, 4.0])
    heard_at[12] += 0.003
    assert delays_ms(sent, heard_at, 0.2, (1.2, 1.3)) == pytest.approx([7.0]), "only the second delta"
    del heard_at[12]
    assert len(delays_ms(sent, heard_at, 0.2, ALWAYS)) == 2


def test_frames_one_by_one_are_all_first_frames() -> None:
    sent = deltas(1, 1, 1, every_s=0.02)
    heard_at = {seq: t + 0.003 for seq, t in sent}
    assert delays_ms(sent, heard_at, 0.2, ALWAYS) == pytest.approx([3.0, 3.0, 3.0])


def test_audio_runs_dry_when_a_frame_arrives_after_all_others_were_played() -> None:
    assert underruns([1.0, 1.0, 1.0, 1.05], ALWAYS) == 1, "the first frame starts from silence"
    assert underruns([1.0, 1.0, 1.0, 1.07], ALWAYS) == 2
    assert underruns([1.0, 1.5], (1.2, 2.0)) == 1
