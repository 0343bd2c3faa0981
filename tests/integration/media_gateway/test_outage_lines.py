"""A gateway logs a few lines for all its sockets together if Redis rejects commands."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from functools import partial

import pytest

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.entries import MediaAttached, MediaDetached
from tests.integration.support.full_redis import full_redis
from tests.integration.support.gateway_under_test import Gateway, OpenLine
from tests.support.eventually import eventually


async def test_a_gateway_tells_once_that_redis_refuses_and_once_that_it_works_again(
    gateway: Gateway, open_line: OpenLine, clients: RedisClients, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(open_line(f"call {number}")) for number in range(5)]
        peers = [await stack.enter_async_context(gateway.dial(line.call_id)) for line in lines]
        for peer, line in zip(peers, lines, strict=True):
            await peer.metadata()
            await eventually(partial(line.said, MediaAttached), within_s=20)
        outage = gateway.service.context.inbox_outage
        async with full_redis(clients):
            for peer in peers:
                await peer.frame(bytes(640))
                await peer.drop()
            await eventually(lambda: outage.failures >= 5, within_s=20)
        for line in lines:
            await eventually(partial(line.said, MediaDetached), within_s=20)
        await eventually(lambda: not outage.failures, within_s=20)
    told = Counter(record.message for record in caplog.records if record.levelname == "WARNING")
    assert told["failed to write to the inbox"] == told["inbox write recovered"] == 1
    assert told["stream write failing"] == told["stream write recovered"] == 1
    assert max(count for message, count in told.items() if "ACS token" not in message) == 1, told
