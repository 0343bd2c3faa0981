"""Token buckets: bursts, refills, and the limit of stored keys."""

from __future__ import annotations

from call_control.core.token_bucket import TokenBucket, TokenBuckets


def test_a_burst_and_its_refill() -> None:
    bucket = TokenBucket(3, 60.0)
    assert [bucket.take(5.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.available(24.9)
    assert bucket.take(25.0)
    assert not bucket.take(25.0)


def test_looking_takes_nothing() -> None:
    bucket = TokenBucket(1, 60.0)
    assert all(bucket.available(1.0) for _ in range(3))
    assert bucket.take(1.0)


def test_keys_have_their_own_buckets_and_are_forgotten_at_last() -> None:
    buckets = TokenBuckets(1, 60.0, most=2)
    assert buckets.take("a", 1.0)
    assert not buckets.take("a", 1.0)
    assert buckets.take("b", 1.0)
    assert buckets.take("c", 1.0)
    assert buckets.take("a", 1.0)
