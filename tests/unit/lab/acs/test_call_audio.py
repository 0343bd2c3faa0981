from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lab.acs.call_audio import CallAudio

RATE_HZ = 16_000


def ramp(start: int, samples: int) -> bytes:
    return np.arange(start, start + samples, dtype="<i2").tobytes()


def test_the_line_is_silent_until_the_first_audio_and_after_the_last() -> None:
    playout = CallAudio(RATE_HZ, opened=10.0)
    assert playout.advance(10.1) == bytes(3200)
    playout.add(ramp(1, 1600), 10.2)
    heard = playout.advance(10.4)
    assert heard == bytes(3200) + ramp(1, 1600) + bytes(3200)


def test_audio_that_comes_early_waits_for_its_turn() -> None:
    playout = CallAudio(RATE_HZ, opened=0.0)
    playout.add(ramp(0, 1600), 0.0)
    playout.add(ramp(1600, 1600), 0.01)
    assert playout.queued_ms == 190
    assert playout.advance(0.05) == ramp(0, 800)
    assert playout.advance(0.2) == ramp(800, 2400)


def test_clear_drops_exactly_what_was_not_heard() -> None:
    playout = CallAudio(RATE_HZ, opened=0.0)
    playout.add(ramp(0, 16_000), 0.0)
    assert playout.clear(0.25) == 750
    playout.add(ramp(20_000, 160), 0.5)
    heard = np.frombuffer(playout.advance(1.0), dtype="<i2")
    assert list(heard[:4000]) == list(range(4000))
    assert not heard[4000:8000].any()
    assert list(heard[8000:8160]) == list(range(20_000, 20_160))
    assert not heard[8160:].any()
    assert playout.clear(1.0) == 0


def test_no_elapsed_time_renders_nothing() -> None:
    playout = CallAudio(RATE_HZ, opened=1.0)
    playout.add(ramp(1, 10), 1.0)
    assert playout.advance(1.0) == b""


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "clear", "advance"]), st.integers(0, 900), st.integers(0, 60)), max_size=40
    )
)
def test_every_sample_is_heard_once_in_order_or_was_cleared(script: list[tuple[str, int, int]]) -> None:
    playout, now, number = CallAudio(RATE_HZ, opened=0.0), 0.0, 1
    heard, added, cleared = b"", 0, 0.0
    for what, samples, pause_ms in script:
        now += pause_ms / 1000
        if what == "add":
            playout.add((np.arange(number, number + samples) % 30_000 + 1).astype("<i2").tobytes(), now)
            number, added = number + samples, added + samples
        elif what == "clear":
            cleared += playout.clear(now)
        else:
            heard += playout.advance(now)
    now += 10
    heard += playout.advance(now)
    assert len(heard) == 2 * round(now * RATE_HZ)
    samples_heard = np.frombuffer(heard, dtype="<i2").astype(int)
    voiced = samples_heard[samples_heard != 0]
    assert len(voiced) == added - round(cleared * RATE_HZ / 1000)
    steps = (np.diff(voiced) - 1) % 30_000
    assert steps.sum() <= added
