"""Claims that leave calls to other relays for a while."""

from __future__ import annotations

import time

from bridge_common.base.ids import call_id_of
from bridge_common.redis.clients import RedisClients
from bridge_common.store.leases import Claim, Leases
from bridge_common.wire.keys import Keys
from tests.support.eventually import eventually

CALL = call_id_of("a")


async def test_a_call_may_be_left_to_others_for_a_while(clients: RedisClients) -> None:
    mine = Leases(clients.control, Keys(1), "relay-1")
    await mine.offer(CALL)
    assert await mine.claim(10, overdue_s=5.0) == []

    async def claimed() -> list[Claim]:
        return await mine.claim(10, overdue_s=0.2)

    began = time.monotonic()
    assert [claim.call_id for claim in await eventually(claimed)] == [CALL]
    assert time.monotonic() - began > 0.1
