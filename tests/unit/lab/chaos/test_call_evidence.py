"""Gaps and lost frames of calls whose frames are set one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from lab.chaos.call_evidence import CallEvidence, SeenMediaSocket, SeenVoiceSession, outcome

FOREVER = float("inf")


def numbers(first: int, count: int, at: float) -> list[tuple[int, float]]:
    """Return marks with increasing numbers from `first`, one every 20 ms, the first at `at`."""
    return [(first + index, at + index * 0.02) for index in range(count)]


def heard(sent: Iterable[tuple[int, float]], *, call: int = 7, delay_s: float = 0.01) -> list[tuple[int, int, float]]:
    return [(call, seq, t + delay_s) for seq, t in sent]


def smooth(seconds: float = 10.0) -> CallEvidence:
    """Return a call without any fault that starts at 0 s."""
    sent = numbers(0, int(seconds * 50), 0.0)
    session = SeenVoiceSession(0.0, FOREVER, sent, heard(sent))
    return CallEvidence(7, True, sent, heard(sent), [session])


def test_a_smooth_call_has_no_gap() -> None:
    found = outcome(smooth(), 2.0, 9.0)
    assert found.went_on
    assert found.sessions == 1
    for way in (found.uplink, found.downlink):
        assert way.gap_ms == pytest.approx(0, abs=0.5)
        assert (way.lost, way.repeated, way.disordered, way.foreign, way.stale) == (0, 0, 0, 0, 0)
        assert way.delays_ms == pytest.approx([10.0] * len(way.delays_ms))
        assert way.late_ms == pytest.approx(10.0)
        assert way.after_dial_ms is None


def test_a_replaced_session_leaves_only_a_gap() -> None:
    first, second = numbers(0, 150, 0.0), numbers(1150, 250, 5.0)
    sent = numbers(0, 500, 0.0)
    sessions = [
        SeenVoiceSession(0.0, 3.0, first, heard(sent[:150])),
        SeenVoiceSession(4.5, FOREVER, second, heard(sent[200:], delay_s=0.05)),
    ]
    trace = CallEvidence(7, True, sent, heard(first) + heard(second), sessions)
    found = outcome(trace, 2.0, 9.9)
    assert found.went_on
    assert found.sessions == 2
    assert found.downlink.gap_ms == pytest.approx(2000, abs=1)
    assert found.downlink.gap_at_s == pytest.approx(0.99, abs=0.01)
    assert found.uplink.lost == 50
    assert found.downlink.stale == found.downlink.disordered == 0


def test_marks_of_the_previous_session_are_stale_not_disordered() -> None:
    first, second = numbers(0, 100, 0.0), numbers(1100, 400, 2.0)
    late = [(7, seq, 3.0) for seq, _ in first[-5:]]
    sessions = [SeenVoiceSession(0.0, 2.0, first, []), SeenVoiceSession(2.0, FOREVER, second, heard(second))]
    inbetween = sorted([*heard(first[:-5]), *heard(second), *late], key=lambda mark: mark[2])
    found = outcome(CallEvidence(7, True, second, inbetween, sessions), 0.0, 9.9).downlink
    assert (found.stale, found.disordered, found.repeated) == (5, 0, 0)


def test_marks_heard_before_the_fault_count_as_repeated_after_it() -> None:
    base = smooth()
    again = [(7, seq, 5.0 + index * 0.001) for index, seq in enumerate(range(200, 220))]
    marks = sorted([*base.heard, *again], key=lambda mark: mark[2])
    found = outcome(replace(base, heard=marks), 4.9, 9.9)
    assert found.downlink.repeated == 20
    assert outcome(replace(base, heard=marks), 6.0, 9.9).downlink.repeated == 0


def test_marks_of_another_call_are_foreign() -> None:
    base = smooth()
    foreign = [*base.heard, (8, 3, 9.95)]
    assert outcome(replace(base, heard=foreign), 0.0, 9.9).downlink.foreign == 1


def test_a_direction_that_falls_silent_has_not_continued() -> None:
    base = smooth()
    found = outcome(replace(base, heard=base.heard[:300]), 2.0, 9.9)
    assert not found.downlink.went_on
    assert found.uplink.went_on
    assert not found.went_on
    assert found.downlink.gap_ms == pytest.approx(9.9 * 1000 - 5990 - 20, abs=1)


def test_a_call_that_was_hung_up_has_not_continued() -> None:
    assert not outcome(replace(smooth(), connected=False), 2.0, 9.9).went_on
    empty = CallEvidence(7, False, [], [], [])
    assert outcome(empty, 2.0, 4.0).downlink.gap_ms == pytest.approx(1980)


def test_the_time_until_acs_dials_again_is_not_ours() -> None:
    base = smooth()
    marks = [mark for mark in base.heard if not 4.0 < mark[2] < 5.2]
    broken = SeenMediaSocket(lost_at=4.05, dialed_at=4.55, open_at=5.1, refused=2)
    judged = outcome(replace(base, heard=marks, breaks=[broken]), 2.0, 9.9)
    assert judged.refused_dials == 2
    found = judged.downlink
    assert found.gap_ms == pytest.approx(1200, abs=21)
    assert found.own_gap_ms == pytest.approx(found.gap_ms - 500, abs=1)
    assert found.after_dial_ms == pytest.approx(100, abs=21)


def test_the_time_after_the_callback_counts_from_the_callback() -> None:
    base = smooth()
    marks = [mark for mark in base.heard if not 4.0 < mark[2] < 5.2]
    broken = SeenMediaSocket(lost_at=4.05, dialed_at=5.0, open_at=5.1, reported_at=4.5)
    found = outcome(replace(base, heard=marks, breaks=[broken]), 2.0, 9.9).downlink
    assert found.after_report_ms == pytest.approx(700, abs=21)
    unreported = replace(broken, reported_at=FOREVER)
    assert outcome(replace(base, heard=marks, breaks=[unreported]), 2.0, 9.9).downlink.after_report_ms is None


def test_audio_that_stays_late_is_reported() -> None:
    base = smooth()
    late = [(call, seq, t + (2.0 if t > 3 else 0.0)) for call, seq, t in base.heard]
    assert outcome(replace(base, heard=late), 1.0, 9.9).downlink.late_ms > 1900


def test_frames_queued_behind_late_audio_are_not_lost() -> None:
    base = smooth()
    late = [(call, seq, t + 2.0) for call, seq, t in base.heard if t > 3 and t + 2.0 <= 9.9]
    found = outcome(replace(base, heard=[mark for mark in base.heard if mark[2] <= 3] + late), 1.0, 9.9).downlink
    assert found.late_ms == pytest.approx(2010)
    assert found.lost == 0
    holed = [mark for mark in late if mark[1] != 300]
    assert outcome(replace(base, heard=holed), 4.0, 9.9).downlink.lost == 1


def test_audio_of_a_mute_session_counts_as_heard_only_by_the_next_one() -> None:
    sent = numbers(0, 500, 0.0)
    mute = SeenVoiceSession(0.0, 5.0, [], heard(sent[:200]), muted_at=3.0)
    following = SeenVoiceSession(5.0, FOREVER, [], [(7, seq, max(5.0, t)) for _, seq, t in heard(sent[140:])])
    found = outcome(CallEvidence(7, True, sent, [], [mute, following]), 1.0, 9.9).uplink
    assert (found.lost, found.repeated) == (0, 10)
    without = replace(following, heard=heard(sent[200:]))
    assert outcome(CallEvidence(7, True, sent, [], [mute, without]), 1.0, 9.9).uplink.lost == 50


def test_conversations_are_counted() -> None:
    sessions = [SeenVoiceSession(0.0, 4.0, [], [], "conv_1"), SeenVoiceSession(4.5, float("inf"), [], [], "conv_2")]
    assert outcome(CallEvidence(1, True, [], [], sessions), 2.0, 10.0).conversations == 2
    assert outcome(CallEvidence(1, True, [], [], sessions[:1]), 2.0, 10.0).conversations == 1
