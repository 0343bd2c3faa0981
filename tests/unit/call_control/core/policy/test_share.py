"""The share is a keyed hash: it has to behave like drawing lots, once for each caller."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from call_control.core.policy.share import STEPS, fingerprint, place_of, steps_of

CALLERS = [f"4:+1425555{number:04d}" for number in range(400)]


def chosen(key: bytes, percent: float, rule: str = "main-line") -> frozenset[str]:
    return frozenset(caller for caller in CALLERS if place_of(key, rule, caller) < steps_of(percent))


def test_the_place_is_the_same_everywhere_for_ever() -> None:
    """By openssl; other figures would send callers other ways after an update."""
    assert place_of(b"k" * 32, "main-line", "4:+14255550100") == 9961
    assert place_of(b"k" * 32, "other", "4:+14255550100") == 7864


@given(key=st.binary(min_size=16), low=st.integers(0, STEPS), high=st.integers(0, STEPS))
def test_a_larger_share_keeps_everybody_of_a_smaller_one(key: bytes, low: int, high: int) -> None:
    low, high = sorted((low, high))
    assert chosen(key, low * 100 / STEPS) <= chosen(key, high * 100 / STEPS)


def test_all_and_nobody() -> None:
    assert chosen(b"key", 100) == frozenset(CALLERS)
    assert chosen(b"key", 0) == frozenset()


def test_over_many_keys_the_share_is_binomial() -> None:
    """400 callers at 25 %: mean 100, variance 75, and the tails that lots have (of 500 draws)."""
    rng = random.Random(25)
    draws = [len(chosen(rng.randbytes(32), 25)) for _ in range(500)]
    mean = sum(draws) / len(draws)
    variance = sum((draw - mean) ** 2 for draw in draws) / (len(draws) - 1)
    assert abs(mean - 100) < 5 * math.sqrt(75 / len(draws))
    assert 75 * 0.75 < variance < 75 * 1.25
    within = sum(abs(draw - 100) <= 12 for draw in draws) / len(draws)
    expected = sum(math.comb(400, k) * 0.25**k * 0.75 ** (400 - k) for k in range(88, 113))
    assert abs(within - expected) < 0.06


def test_rules_and_keys_draw_apart() -> None:
    """Who is in one rule's share is no likelier to be in another's: a quarter of a quarter."""
    rng = random.Random(7)
    both = apart = 0
    for _ in range(50):
        key, other = rng.randbytes(32), rng.randbytes(32)
        both += len(chosen(key, 25) & chosen(key, 25, "other-line"))
        apart += len(chosen(key, 25) & chosen(other, 25))
    for found in (both, apart):
        assert abs(found / (50 * 400) - 1 / 16) < 0.01


def test_steps_are_hundredths_of_a_percent() -> None:
    assert [steps_of(percent) for percent in (0, 0.01, 0.29, 12.5, 100)] == [0, 1, 29, 1250, 10_000]


def test_a_fingerprint_tells_keys_apart_and_not_the_key() -> None:
    assert fingerprint(b"one") != fingerprint(b"two")
    assert len(fingerprint(b"one")) == 8
    assert fingerprint(b"") == ""
