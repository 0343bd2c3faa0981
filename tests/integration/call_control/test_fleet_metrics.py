"""The fleet as metrics, from real heartbeats and leases."""

from __future__ import annotations

import asyncio
import contextlib

from bridge_common.observability.telemetry import REGISTRY
from bridge_common.redis.clients import RedisClients
from bridge_common.store.fleet import Fleet
from bridge_common.store.inbox import Inbox
from bridge_common.store.leases import Leases
from bridge_common.wire.entries import VoiceReady
from bridge_common.wire.keys import Keys
from call_control.core.fleet_demand import ScaleBuffer
from call_control.fleet_metrics import FleetMetrics
from call_control.fleet_view import FleetView
from tests.support.eventually import eventually


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def test_heartbeats_and_calls_without_media(clients: RedisClients, keys: Keys) -> None:
    control = Fleet(clients.control, "control-1", "call-control")
    gateways = [Fleet(clients.control, f"gateway-{number}", "media-gateway") for number in range(3)]
    leases = Leases(clients.control, keys, "relay-1")
    for number in range(40):
        await leases.offer(f"call_{number}")
    draining = 0

    async def reported(name: str, expected: float, **labels: str) -> bool:
        """Whether the metric has this value while the gateways are alive."""
        for number, gateway in enumerate(gateways):
            await gateway.beat(capacity=100, active=10 + number, draining=number < draining)
        return value(name, **labels) == expected

    async def await_value(name: str, expected: float, **labels: str) -> None:
        await eventually(lambda: reported(name, expected, **labels), what=f"{name} {labels} {expected}")

    inbox = Inbox(clients.control, clients.blocking, keys, "control-1")
    view = FleetView(control, leases, ScaleBuffer(10, 20))
    reporting = asyncio.create_task(FleetMetrics(view, inbox, poll_s=0.02).run())
    try:
        await await_value("bridge_fleet_processes", 3, kind="media-gateway", state="live")
        await await_value("bridge_fleet_calls", 33, kind="media-gateway")
        await await_value("bridge_fleet_capacity_calls", 300, kind="media-gateway")
        await await_value("bridge_fleet_ringing_calls", 40 - 33)
        await await_value("bridge_fleet_calls", 40, kind="call-control")
        await await_value("bridge_fleet_demand_calls", 33 + 7 + 10, kind="media-gateway")
        await await_value("bridge_fleet_demand_calls", 40, kind="call-control")
        assert value("bridge_fleet_capacity_calls", kind="call-control") is None, "its capacity is a rate"
        assert value("bridge_fleet_processes", kind="agent-relay", state="live") == 0
        await leases.end("call_0")
        await await_value("bridge_fleet_ringing_calls", 6)
        draining = 1
        await await_value("bridge_fleet_processes", 1, kind="media-gateway", state="draining")
        await await_value("bridge_fleet_capacity_calls", 200, kind="media-gateway")
        await await_value("bridge_fleet_calls", 33, kind="media-gateway")
        await inbox.ensure_group()
        for number in range(3):
            await inbox.put(VoiceReady(f"call_{number}", 1))
        await await_value("bridge_inbox_waiting", 3)
        for delivery in await inbox.read(block_ms=1):
            await inbox.ack(delivery)
        await await_value("bridge_inbox_waiting", 0)
    finally:
        reporting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reporting
