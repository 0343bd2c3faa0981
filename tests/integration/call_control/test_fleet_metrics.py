"""The fleet as metrics, from real heartbeats and leases."""

from __future__ import annotations

import asyncio
import contextlib

from bridge_common.observability.telemetry import REGISTRY
from bridge_common.redis.clients import RedisClients
from bridge_common.store.fleet import Fleet
from bridge_common.store.leases import Leases
from bridge_common.wire.keys import Keys
from call_control.fleet_metrics import FleetMetrics
from tests.support.eventually import eventually


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def test_heartbeats_and_calls_without_media(clients: RedisClients, keys: Keys) -> None:
    control = Fleet(clients.control, "control-1", "call-control")
    gateways = [Fleet(clients.control, f"gateway-{number}", "media-gateway") for number in range(3)]
    leases = Leases(clients.control, keys, "relay-1")
    for number in range(40):
        await leases.offer(f"call_{number}")
    reporting = asyncio.create_task(FleetMetrics(control, leases, poll_s=0.02).run())

    async def reported(draining: bool) -> bool:
        for number, gateway in enumerate(gateways):
            await gateway.beat(capacity=100, active=10 + number, draining=draining and number == 0)
        return value("bridge_fleet_processes", kind="media-gateway", state="draining") == float(draining)

    await eventually(lambda: reported(False))
    await eventually(lambda: value("bridge_fleet_processes", kind="media-gateway", state="live") == 3)
    await eventually(lambda: value("bridge_fleet_calls", kind="media-gateway") == 33)
    assert value("bridge_fleet_capacity_calls", kind="media-gateway") == 300
    assert value("bridge_fleet_processes", kind="agent-relay", state="live") == 0
    assert value("bridge_fleet_ringing_calls") == 40 - 33
    assert value("bridge_fleet_calls", kind="call-control") == 40
    assert value("bridge_fleet_capacity_calls", kind="call-control") is None, "its capacity is a rate"
    await leases.end("call_0")
    await eventually(lambda: value("bridge_fleet_ringing_calls") == 6)
    await eventually(lambda: reported(True))
    await eventually(lambda: value("bridge_fleet_capacity_calls", kind="media-gateway") == 200)
    assert value("bridge_fleet_calls", kind="media-gateway") == 33, "a draining process still has its calls"
    reporting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reporting
