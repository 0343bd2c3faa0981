"""Playout: when audio is sent, how much was heard, and that no audio follows a clear."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge_common.wire.audio import bytes_of_ms
from bridge_common.wire.entries import Played, Playing
from media_gateway.core.playout import Chunk, Playout, Report
from tests.support.nightly import examples

T = 1000.0
DELAY_MS = 1.6875
MODULUS = 65_536


def pcm(ms: float, sample: int = 1) -> bytes:
    return sample.to_bytes(2, "little") * (bytes_of_ms(ms, 24_000) // 2)


def run(playout: Playout, begin: float, end: float) -> Iterator[tuple[float, Chunk | Report]]:
    """Call the playout at each time that it requests; collect the chunks with their times."""
    now = begin
    while True:
        due = playout.due(now)
        yield from ((now, chunk) for chunk in due.chunks)
        yield from ((now, report) for report in due.reports)
        at = playout.next_at()
        if at is None or at > end:
            return
        assert at > now, "due() must make progress"
        now = at


def reports(happened: list[tuple[float, Chunk | Report]]) -> list[Report]:
    return [what for _, what in happened if not isinstance(what, Chunk)]


def sound(happened: list[tuple[float, Chunk | Report]]) -> bytes:
    return b"".join(what.pcm24k for _, what in happened if isinstance(what, Chunk))


def test_a_lead_leaves_at_once_and_the_rest_in_real_time() -> None:
    playout = Playout(lead_ms=200, message_ms=20)
    playout.push("a", pcm(1000))
    happened = list(run(playout, T, T + 2))
    left_at = [now for now, what in happened if isinstance(what, Chunk)]
    assert left_at[:11] == [T] * 11
    assert left_at[11:] == pytest.approx([T + 0.02 * n for n in range(1, 40)])


def test_large_messages_keep_to_the_same_lead() -> None:
    playout = Playout(lead_ms=200, message_ms=100)
    playout.push("a", pcm(1000))
    sent_ms = 0.0
    for now, what in run(playout, T, T + 2):
        if isinstance(what, Chunk):
            assert len(what.pcm24k) == 4800
            sent_ms += 100
            assert 0 < sent_ms - (now - T) * 1000 <= 220.1
    assert sent_ms == 1000


def test_speech_after_a_barge_in_leaves_at_once_with_the_whole_lead() -> None:
    """Cleared audio is not played any more, so new audio does not wait for it."""
    playout = Playout(lead_ms=200, message_ms=20)
    playout.push("a", pcm(1000))
    before = playout.due(T)
    playout.clear("a", T + 0.05)
    playout.push("b", pcm(1000))
    after = playout.due(T + 0.05)
    assert len(after.chunks) == len(before.chunks) == 11


def test_an_item_is_reported_at_its_first_frame_and_when_it_was_heard() -> None:
    playout = Playout(delay_ms=DELAY_MS)
    playout.push("a", pcm(507))
    playout.end("a")
    happened = list(run(playout, T, T + 2))
    assert reports(happened) == [Playing("a"), Played("a", 507, complete=True)]
    assert happened[-1][0] == pytest.approx(T + 0.507 + DELAY_MS / 1000)
    assert sound(happened) == pcm(507)


def test_the_last_chunk_before_a_pause_is_final_and_no_other() -> None:
    playout = Playout(message_ms=20)
    playout.push("a", pcm(30))
    playout.end("a")
    playout.push("b", pcm(30))
    assert [(len(chunk.pcm24k), chunk.final) for chunk in playout.due(T).chunks] == [
        (960, False),
        (960, False),
        (960, False),
    ]
    playout.end("b")
    assert playout.due(T).chunks == [Chunk(b"", final=True)]
    assert playout.due(T).chunks == []


def test_the_short_end_of_an_item_waits_for_more_or_for_its_end() -> None:
    playout = Playout()
    playout.push("a", pcm(27))
    assert [len(chunk.pcm24k) for chunk in playout.due(T).chunks] == [960]
    assert playout.next_at() is None
    playout.end("a")
    assert playout.due(T + 0.001).chunks == [Chunk(pcm(7), final=True)]


def test_items_follow_each_other_without_a_gap() -> None:
    playout = Playout(lead_ms=10_000)
    for item in "abc":
        playout.push(item, pcm(33, ord(item)))
        playout.end(item)
    happened = list(run(playout, T, T + 2))
    assert sound(happened) == pcm(33, ord("a")) + pcm(33, ord("b")) + pcm(33, ord("c"))
    assert [r for r in reports(happened) if isinstance(r, Played)] == [Played(item, 33, True) for item in "abc"]


def test_clear_reports_what_was_heard_and_drops_the_rest_of_the_item() -> None:
    playout = Playout(delay_ms=DELAY_MS)
    playout.push("a", pcm(1000))
    playout.push("b", pcm(500))
    list(run(playout, T, T + 0.3))
    cleared = playout.clear("a", T + 0.3)
    assert cleared == [Played("a", int(300 - DELAY_MS), complete=False), Played("b", 0, complete=False)]
    playout.push("a", pcm(500))
    playout.end("a")
    assert list(run(playout, T + 0.3, T + 3)) == []
    assert playout.totals.late == len(pcm(500))


def test_after_a_clear_new_sound_leaves_at_once() -> None:
    playout = Playout()
    playout.push("a", pcm(1000))
    playout.due(T)
    playout.clear("a", T + 0.1)
    playout.push("b", pcm(100, 2))
    due = playout.due(T + 0.1)
    assert b"".join(chunk.pcm24k for chunk in due.chunks) == pcm(100, 2)
    assert due.reports == [Playing("b")]


def test_clear_after_the_end_was_heard_reports_complete() -> None:
    playout = Playout()
    playout.push("a", pcm(40))
    playout.end("a")
    playout.due(T)
    assert playout.clear("a", T + 1) == [Played("a", 40, complete=True)]
    assert playout.clear("a", T + 1) == []


def test_a_clear_that_overtakes_its_item_still_silences_it() -> None:
    playout = Playout()
    assert playout.clear("a", T) == []
    playout.push("a", pcm(100))
    assert playout.due(T).chunks == []


def test_an_underrun_shifts_what_is_heard() -> None:
    playout = Playout()
    playout.push("a", pcm(20))
    playout.due(T)
    playout.push("a", pcm(20))
    playout.due(T + 5)
    assert playout.clear("a", T + 5.0101) == [Played("a", 30, complete=False)]


def test_deltas_may_split_a_sample() -> None:
    playout = Playout()
    whole = bytes(range(256)) * 8
    playout.push("a", whole[:1001])
    playout.push("a", whole[1001:])
    playout.end("a")
    assert sound(list(run(playout, T, T + 2))) == whole


def test_a_full_queue_refuses_and_counts() -> None:
    playout = Playout(queue_ms=100)
    playout.push("a", pcm(90))
    playout.push("a", pcm(20))
    assert playout.waiting_bytes == len(pcm(90))
    assert playout.totals.refused == len(pcm(20))


def test_the_hold_tone_sounds_while_nothing_else_does() -> None:
    playout = Playout()
    playout.hold(True)
    tone = sound(list(run(playout, T, T + 1)))
    assert any(tone)
    assert len(tone) == pytest.approx(len(pcm(1060)), abs=len(pcm(40)))
    playout.hold(False)
    happened = list(run(playout, T + 1.01, T + 3))
    assert len(sound(happened)) <= len(pcm(20))
    assert isinstance(happened[-1][1], Chunk)
    assert happened[-1][1].final


def test_speech_takes_over_from_the_hold_tone_without_a_click() -> None:
    playout = Playout()
    playout.hold(True)
    before = sound(list(run(playout, T, T + 0.2)))
    playout.push("a", pcm(100, 5))
    after = sound(list(run(playout, T + 0.2, T + 0.3)))
    assert after.endswith(pcm(100, 5))
    faded = memoryview(before[-960:] + after[:960]).cast("h")
    assert max(abs(b - a) for a, b in pairwise(faded)) < 110


class PlayoutMachine(RuleBasedStateMachine):
    """Invariants for any order of pushes, ends, clears and time. All pushed samples are numbered."""

    def __init__(self) -> None:
        super().__init__()
        self.now = T
        self.playout = Playout(lead_ms=100, delay_ms=DELAY_MS, queue_ms=400)
        self.pushed: dict[str, int] = {}
        self.last_number = 0
        self.left_samples = 0
        self.first_left_at = float("inf")
        self.dead: set[str] = set()
        self.played: dict[str, Played] = {}
        self.playing: list[str] = []

    items = st.sampled_from(["a", "b", "c", "d", "e"])

    @rule(item=items, samples=st.integers(0, 4000))
    def push(self, item: str, samples: int) -> None:
        first = self.playout.totals.pushed // 2
        self.playout.push(item, (np.arange(first, first + samples) % MODULUS).astype("<u2").tobytes())
        accepted = self.playout.totals.pushed // 2 - first
        assert accepted in (0, samples)
        assert not (accepted and item in self.dead)
        if accepted:
            self.pushed[item] = self.pushed.get(item, 0) + samples

    @rule(item=items)
    def end(self, item: str) -> None:
        self.playout.end(item)

    @rule(item=items)
    def clear(self, item: str) -> None:
        self.note(self.playout.clear(item, self.now))
        assert self.playout.waiting_bytes == 0
        self.dead |= {item, *self.pushed}

    @rule(ms=st.floats(0, 400))
    def wait(self, ms: float) -> None:
        self.now += ms / 1000
        self.drive()

    @precondition(lambda self: self.playout.next_at() is not None)
    @rule()
    def wait_until_due(self) -> None:
        self.now = max(self.now, self.playout.next_at() or 0)
        self.drive()
        at = self.playout.next_at()
        assert at is None or at > self.now

    def drive(self) -> None:
        due = self.playout.due(self.now)
        for chunk in due.chunks:
            for number in np.frombuffer(chunk.pcm24k, "<u2")[[0, -1] if chunk.pcm24k else []].tolist():
                assert (number - self.last_number) % MODULUS < MODULUS // 2, "the order is kept"
                self.last_number = number
            if chunk.pcm24k:
                self.first_left_at = min(self.first_left_at, self.now)
                self.left_samples += len(chunk.pcm24k) // 2
        self.note(due.reports)

    def note(self, reports: list[Report]) -> None:
        for report in reports:
            if isinstance(report, Playing):
                assert report.item_id not in self.playing
                assert report.item_id not in self.dead
                self.playing.append(report.item_id)
            else:
                assert report.item_id not in self.played, "an item is played once"
                self.played[report.item_id] = report
                self.dead.add(report.item_id)

    @invariant()
    def audio_is_conserved(self) -> None:
        totals = self.playout.totals
        assert totals.pushed == totals.sent + totals.cleared + self.playout.waiting_bytes
        assert totals.sent == 2 * self.left_samples

    @invariant()
    def heard_is_below_sent_and_below_real_time(self) -> None:
        total = sum(played.heard_ms for played in self.played.values())
        assert total <= self.left_samples / 24
        assert total <= max(0.0, self.now - self.first_left_at) * 1000 + 1e-6
        for item, played in self.played.items():
            generated_ms = self.pushed.get(item, 0) / 24
            assert played.heard_ms <= generated_ms
            assert not played.complete or played.heard_ms == int(generated_ms)

    def teardown(self) -> None:
        """All items that were ended are heard completely."""
        for item in self.pushed:
            self.playout.end(item)
        self.now += 1000
        for _ in range(10):
            self.drive()
            self.now += 1000
        assert set(self.played) >= set(self.pushed)
        assert self.playout.next_at() is None


PlayoutMachine.TestCase.settings = settings(max_examples=examples(300), stateful_step_count=30, deadline=None)
TestPlayoutMachine = PlayoutMachine.TestCase
