"""The pace of roll-outs, from manifests."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab.chaos.fleet_plan import CONTROL, GATEWAY, RELAY, FleetPlan, with_files
from lab.chaos.pacing import MANIFESTS, Pacing, pacing_of
from lab.stack import StackError


@pytest.mark.parametrize("service", [CONTROL, GATEWAY, RELAY])
def test_the_times_of_the_repository_are_scaled(service: str) -> None:
    manifest = yaml.safe_load((MANIFESTS / service / "deployment.yaml").read_text())["spec"]
    pacing, tenth = pacing_of(service), pacing_of(service, 0.1)
    assert pacing.grace_s == manifest["template"]["spec"]["terminationGracePeriodSeconds"]
    assert pacing.min_ready_s == manifest.get("minReadySeconds", 0)
    assert tenth.grace_s == pytest.approx(pacing.grace_s / 10)
    assert tenth.drain_timeout_s == pytest.approx(pacing.drain_timeout_s / 10)
    assert pacing.pre_stop_s > 0
    assert pacing.pre_stop_s + pacing.drain_timeout_s < pacing.grace_s


def test_services_of_a_scaled_fleet_drain_at_the_pace_of_the_manifests(tmp_path: Path) -> None:
    scaled = with_files(FleetPlan(scale=0.5, extra={RELAY: {"RELAY_CAPACITY": "2"}}), tmp_path)
    drain_s = float(scaled[RELAY]["DRAIN_TIMEOUT_S"])
    assert drain_s == pacing_of(RELAY).drain_timeout_s / 2
    assert scaled[RELAY]["RELAY_CAPACITY"] == "2"
    assert "DRAIN_TIMEOUT_S" in scaled[GATEWAY]
    own = with_files(FleetPlan(scale=0.5, extra={RELAY: {"DRAIN_TIMEOUT_S": "9"}}), tmp_path)
    assert own[RELAY]["DRAIN_TIMEOUT_S"] == "9"
    assert GATEWAY not in with_files(FleetPlan(), tmp_path)


def test_defaults_are_those_of_kubernetes_and_of_the_services(tmp_path: Path) -> None:
    folder = tmp_path / "service"
    folder.mkdir()
    (folder / "deployment.yaml").write_text("spec: {template: {spec: {containers: [{name: a}]}}}")
    (folder / "kustomization.yaml").write_text("resources: []")
    found = pacing_of("service", manifests=tmp_path)
    assert found == Pacing("25%", "25%", 0.0, 0.0, 25.0, 30.0)
    assert (found.surge(10), found.unavailable(10)) == (3, 2)


def test_without_manifests_the_error_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"deployment\.yaml not found: the pace of a roll-out is read from k8s/base"):
        pacing_of(RELAY, manifests=tmp_path)
