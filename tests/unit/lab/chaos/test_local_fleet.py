"""Replicas that are added to a fleet and removed; running fleets are covered by the end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from lab.chaos.local_fleet import GATEWAY, RELAY, FleetPlan, LocalFleet, kind_of
from lab.chaos.network import Network, network
from lab.stack_process import Process


def running(name: str, port: int) -> Process:
    return Process(name, port, Mock(poll=Mock(return_value=None)))


class Launched(LocalFleet):
    """A fleet whose processes are only noted."""

    def launch_replica(self, name: str) -> None:
        self.processes.append(running(name, self.replica_port(name)))

    def await_ready(self) -> None: ...

    def launch_part(self, name: str) -> None: ...


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as net:
        yield net


@pytest.fixture
def fleet(net: Network, tmp_path: Path) -> LocalFleet:
    fleet = Launched(FleetPlan(relays=2, gateways=2, controls=1), tmp_path, net)
    fleet.processes.append(running("redis", fleet.ports.redis))
    for name in fleet.plan.replicas():
        fleet.launch_replica(name)
    return fleet


def test_a_further_replica_has_the_next_number_and_a_port_of_its_own(fleet: LocalFleet) -> None:
    assert [fleet.add_replica(RELAY), fleet.add_replica(RELAY)] == ["agent-relay-3", "agent-relay-4"]
    fleet.remove_replica("agent-relay-4")
    assert fleet.add_replica(RELAY) == "agent-relay-5", "logs of a removed replica must not be continued"
    assert fleet.running(RELAY) == ["agent-relay-1", "agent-relay-2", "agent-relay-3", "agent-relay-5"]
    ports = {fleet.replica_port(name) for name in fleet.running(RELAY) + fleet.running(GATEWAY)}
    assert len(ports) == 6


def test_a_fleet_that_was_scaled_down_gets_its_replicas_back(fleet: LocalFleet) -> None:
    for name in ("agent-relay-1", "media-gateway-1", "media-gateway-2"):
        fleet.remove_replica(name)
    fleet.heal()
    found = [kind_of(process.name) for process in fleet.processes if process.name != "redis"]
    assert (found.count(RELAY), found.count(GATEWAY)) == (2, 2)
    assert fleet.running(GATEWAY) == ["media-gateway-3", "media-gateway-4"]
