"""The plan of a fleet: names and kinds of replicas, their settings and files."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.chaos.fleet_plan import FleetPlan, kind_of, with_files


def test_each_replica_has_a_name_of_its_kind() -> None:
    names = list(FleetPlan(relays=2, gateways=1, controls=1).replicas())
    assert names == ["call-control-1", "media-gateway-1", "agent-relay-1", "agent-relay-2"]
    assert {kind_of(name) for name in names} == {"call-control", "media-gateway", "agent-relay"}


@pytest.mark.parametrize("name", ["redis", "voice-live", "call-control", "acs"])
def test_a_name_without_a_number_is_a_kind(name: str) -> None:
    assert kind_of(name) == name


def test_services_are_told_where_the_files_of_the_plan_are(tmp_path: Path) -> None:
    plain = FleetPlan(extra={"agent-relay": {"RELAY_CAPACITY": "2"}})
    assert with_files(plain, tmp_path) == plain.extra
    assert not plain.business
    plan = FleetPlan(extra=plain.extra, profiles='{"a": {"url": "BUSINESS/orders"}}', routing='{"rules": []}')
    assert plan.business
    found = with_files(plan, tmp_path)
    assert found["agent-relay"]["RELAY_CAPACITY"] == "2"
    assert Path(found["agent-relay"]["AGENT_PROFILES_FILE"]).parent == tmp_path
    assert Path(found["call-control"]["ROUTING_POLICY"]).parent == tmp_path
    assert Path(found["business"]["JOURNAL"]).parent == tmp_path
