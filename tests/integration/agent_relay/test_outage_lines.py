"""While Redis rejects commands, a relay logs two lines for each operation, independent of the number of retries: one
when the outage begins, one when it ends.
"""

from __future__ import annotations

from collections import Counter

import pytest

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.entries import ItemEnd, VoiceReady
from tests.integration.support.full_redis import full_redis
from tests.integration.support.relay_call import calls, model_target, relay_process
from tests.integration.support.scripted_voice_live import opened, reply, scripted, until_open
from tests.support.eventually import eventually

SECOND = bytes(48_000)


async def test_an_outage_of_redis_is_two_lines_for_each_operation(
    clients: RedisClients, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        calls(clients) as ten,
        scripted(opened()) as service,
        relay_process(clients, model_target(service.url)) as relay,
    ):
        await ten[0].begin()
        session = await until_open(service, 0)
        await ten[0].attach()
        await ten[0].told(VoiceReady)
        async with full_redis(clients):
            await session.push(*reply("resp_1", "item_1", "Held back.", SECOND))
            await eventually(lambda: relay.context.fleet.beat_age_s >= 2.0, within_s=30)
        await eventually(lambda: ten[0].of(ItemEnd), within_s=30)
        outages = {
            "failed to renew leases; retrying": "lease renewal recovered",
            "failed to write heartbeat": "heartbeat recovered",
        }
        await eventually(lambda: set(outages.values()) <= set(caplog.messages), within_s=30)
        counts = Counter(record.message for record in caplog.records if record.levelname != "INFO")
        for begun, over in outages.items():
            assert counts[begun] == counts[over] == 1
        assert counts["stream write failing"] == counts["stream write recovered"] == 1
        assert max(counts.values()) <= 2, counts
        await ten[0].end()
