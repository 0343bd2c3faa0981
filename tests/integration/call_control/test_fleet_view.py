"""The demand of the fleet, read from Redis: all shards, at a cost that does not depend on the calls."""

from __future__ import annotations

import pytest

from bridge_common.base.errors import OutsideError
from bridge_common.redis.clients import RedisClients, open_clients
from bridge_common.store.fleet import Fleet
from bridge_common.store.leases import Leases
from bridge_common.wire.keys import Keys
from call_control.core.fleet_demand import ScaleBuffer
from call_control.fleet_view import FleetView
from tests.integration.support.redis_stats import command_calls
from tests.support.redis_user import port_of

KEYS = Keys(8)


def view(clients: RedisClients) -> FleetView:
    fleet = Fleet(clients.control, "control-1", "call-control")
    return FleetView(fleet, Leases(clients.control, KEYS, "control-1"), ScaleBuffer(10, 20))


async def test_calls_of_all_shards_are_counted_with_one_command_each(clients: RedisClients, redis_url: str) -> None:
    for index, tag in enumerate(KEYS.all_tags()):
        calls = {f"call_{index:04d}{number:020x}": number for number in range(1000 + index)}
        await clients.control.zadd(KEYS.leases(tag), calls)
    port = port_of(redis_url)
    names = ("zcard", "hgetall", "evalsha", "zrange")
    await view(clients).read()  # loads the script
    before = [command_calls(port, name) for name in names]
    state = await view(clients).read()
    assert [command_calls(port, name) - one for name, one in zip(names, before, strict=True)] == [8, 1, 1, 0]
    assert state.kinds["agent-relay"].ringing == 8028
    assert state.kinds["agent-relay"].demand == 8028 + 1606


async def test_processes_are_sorted_and_live(clients: RedisClients) -> None:
    for name in ("relay-2", "relay-1"):
        await Fleet(clients.control, name, "agent-relay").beat(capacity=40, active=1)
    state = await view(clients).read()
    assert [member.name for member in state.processes] == ["relay-1", "relay-2"]
    assert state.kinds["agent-relay"].calls == 2


async def test_without_redis_there_is_no_number() -> None:
    clients = open_clients("redis://127.0.0.1:1/0")
    try:
        with pytest.raises(OutsideError):
            await view(clients).read()
    finally:
        await clients.aclose()
