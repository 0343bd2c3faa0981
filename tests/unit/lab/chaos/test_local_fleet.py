"""Names and kinds of replicas; running fleets are covered by the end-to-end tests."""

from __future__ import annotations

import pytest

from lab.chaos.local_fleet import FleetPlan, kind_of


def test_each_replica_has_a_name_of_its_kind() -> None:
    names = list(FleetPlan(relays=2, gateways=1, controls=1).replicas())
    assert names == ["call-control-1", "media-gateway-1", "agent-relay-1", "agent-relay-2"]
    assert {kind_of(name) for name in names} == {"call-control", "media-gateway", "agent-relay"}


@pytest.mark.parametrize("name", ["redis", "voice-live", "call-control", "acs"])
def test_a_name_without_a_number_is_a_kind(name: str) -> None:
    assert kind_of(name) == name
