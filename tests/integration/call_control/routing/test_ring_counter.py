"""Limits on incoming calls with real Redis: for all replicas together, without effect on calls within them."""

from __future__ import annotations

import asyncio
import logging

import pytest

from bridge_common.redis.clients import RedisClients, open_clients
from bridge_common.wire.entries import IncomingCall
from call_control.core.policy.ring_limits import Limit, RingLimits
from call_control.routing.ring_counter import Exceeded, RingCounter

FLOODER, GOOD = "4:+14255550100", "4:+14255550199"


def call(number: int, caller: str = FLOODER) -> IncomingCall:
    return IncomingCall(f"call_{caller}_{number}", "e", caller, "4:+18005551212", "c", "r", "s", 1)


async def ring(counter: RingCounter, calls: int, caller: str = FLOODER) -> list[Exceeded | None]:
    return [await counter.exceeded(call(number, caller)) for number in range(calls)]


async def test_a_caller_is_limited_and_no_other(clients: RedisClients) -> None:
    counter = RingCounter(clients.control, RingLimits(per_caller=3))
    answers = await ring(counter, 6)
    assert answers[:3] == [None] * 3
    assert answers[3:] == [Exceeded(Limit.CALLER, 3, first=first) for first in (True, False, False)]
    assert await ring(counter, 3, GOOD) == [None] * 3
    assert await counter.exceeded(call(9, FLOODER.upper())) is not None


async def test_calls_that_are_turned_away_do_not_count_against_the_total(clients: RedisClients) -> None:
    counter = RingCounter(clients.control, RingLimits(per_caller=3, total=5))
    await ring(counter, 100)
    assert await ring(counter, 3, GOOD) == [None, None, Exceeded(Limit.TOTAL, 5, first=True)]


async def test_callers_who_hide_their_number_leave_half_of_the_total(clients: RedisClients) -> None:
    counter = RingCounter(clients.control, RingLimits(per_caller=2, total=8))
    hidden = await ring(counter, 10, "4:anonymous")
    assert hidden[:4] == [None] * 4, "a hidden number has no limit of its own"
    assert hidden[4] == Exceeded(Limit.ANONYMOUS, 4, first=True)
    assert await counter.exceeded(call(1, "")) == Exceeded(Limit.ANONYMOUS, 4, first=False)
    for caller in ("4:+1", "4:+2"):
        assert await ring(counter, 2, caller) == [None, None]


async def test_the_limits_hold_over_all_replicas(redis_url: str, clients: RedisClients) -> None:
    others = [open_clients(redis_url) for _ in range(3)]
    try:
        replicas = [RingCounter(each.control, RingLimits(per_caller=5)) for each in others]
        answers = await asyncio.gather(
            *(replica.exceeded(call(number)) for number, replica in enumerate(replicas * 10))
        )
    finally:
        for each in others:
            await each.aclose()
    assert answers.count(None) == 5
    assert [answer.first for answer in answers if answer].count(True) == 1, "one line in the log of one replica"


async def test_a_call_counts_once_even_if_its_entry_is_processed_again(clients: RedisClients) -> None:
    counter = RingCounter(clients.control, RingLimits(per_caller=2, total=2))
    for _ in range(5):
        assert await counter.exceeded(call(1)) is None
    assert await counter.exceeded(call(2)) is None
    assert await counter.exceeded(call(3)) is not None
    assert await counter.exceeded(call(1)) is None, "it was admitted before"


async def test_after_a_minute_there_is_room_again(clients: RedisClients) -> None:
    counter = RingCounter(clients.control, RingLimits(per_caller=2))
    await ring(counter, 3)
    [bucket] = [key async for key in clients.control.scan_iter("quota:{rings}:caller:*") if b"reported" not in key]
    assert 0 < await clients.control.pttl(bucket) <= 60_000
    assert 0 < await clients.control.pttl(bucket + b":reported") <= 60_000
    await clients.control.zadd(bucket, {call(0).call_id: 1})
    assert await counter.exceeded(call(7)) is None, "one of the two has left the window"
    assert await counter.exceeded(call(8)) is not None


async def test_the_keys_contain_no_number_and_are_bounded(clients: RedisClients) -> None:
    counter = RingCounter(clients.control, RingLimits(per_caller=2, total=4))
    await ring(counter, 50, "8:" + "x" * 254)
    await ring(counter, 50)
    keys = [key async for key in clients.control.scan_iter("*")]
    assert all(len(key) < 80 and b"4255550100" not in key for key in keys)
    assert await clients.control.zcard("quota:{rings}:total") == 4


async def test_without_limits_redis_is_not_queried() -> None:
    unreachable = open_clients("redis://127.0.0.1:1/0")
    try:
        assert await RingCounter(unreachable.control, RingLimits(0, 0)).exceeded(call(1)) is None
        assert await RingCounter(unreachable.control, RingLimits(5, 0)).exceeded(call(1, "")) is None
    finally:
        await unreachable.aclose()


async def test_without_redis_no_call_is_turned_away_and_one_in_a_second_waits(caplog: pytest.LogCaptureFixture) -> None:
    unreachable = open_clients("redis://127.0.0.1:1/0")
    try:
        with caplog.at_level(logging.WARNING):
            assert await ring(RingCounter(unreachable.control, RingLimits(per_caller=1)), 20) == [None] * 20
    finally:
        await unreachable.aclose()
    assert [record.getMessage() for record in caplog.records] == ["failed to count incoming calls; limits suspended"]
