"""A keyed hash assigns callers to a share; it must behave like one random draw for each caller."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from call_control.core.policy.routing import STEPS, bucket_of, fingerprint, steps_of

CALLERS = [f"4:+1425555{number:04d}" for number in range(400)]


def chosen(key: bytes, percent: float, rule: str = "main-line") -> frozenset[str]:
    return frozenset(caller for caller in CALLERS if bucket_of(key, rule, caller) < steps_of(percent))


def test_the_bucket_never_changes() -> None:
    """Expected values are from openssl; other values would reroute callers after an update."""
    assert bucket_of(b"k" * 32, "main-line", "4:+14255550100") == 9961
    assert bucket_of(b"k" * 32, "other", "4:+14255550100") == 7864


@given(key=st.binary(min_size=16), low=st.integers(0, STEPS), high=st.integers(0, STEPS))
def test_a_larger_share_keeps_everybody_of_a_smaller_one(key: bytes, low: int, high: int) -> None:
    low, high = sorted((low, high))
    assert chosen(key, low * 100 / STEPS) <= chosen(key, high * 100 / STEPS)


def test_all_and_nobody() -> None:
    assert chosen(b"key", 100) == frozenset(CALLERS)
    assert chosen(b"key", 0) == frozenset()


def test_over_many_keys_the_share_is_binomial() -> None:
    """500 draws of 400 callers at 25 %: the mean is 100, the variance 75, and the tails are those of the binomial."""
    rng = random.Random(25)
    draws = [len(chosen(rng.randbytes(32), 25)) for _ in range(500)]
    mean = sum(draws) / len(draws)
    variance = sum((draw - mean) ** 2 for draw in draws) / (len(draws) - 1)
    assert abs(mean - 100) < 5 * math.sqrt(75 / len(draws))
    assert 75 * 0.75 < variance < 75 * 1.25
    within = sum(abs(draw - 100) <= 12 for draw in draws) / len(draws)
    expected = sum(math.comb(400, k) * 0.25**k * 0.75 ** (400 - k) for k in range(88, 113))
    assert abs(within - expected) < 0.06


def test_rules_and_keys_are_independent() -> None:
    """Membership in the shares of two rules is independent: with 25 % each, a sixteenth of the callers is in both."""
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


def test_a_fingerprint_distinguishes_keys_without_revealing_them() -> None:
    assert fingerprint(b"one") != fingerprint(b"two")
    assert len(fingerprint(b"one")) == 8
    assert fingerprint(b"") == ""
