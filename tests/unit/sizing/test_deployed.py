"""Capacity is read from the settings and manifests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agent_relay.settings import RelaySettings
from sizing.deployed import (
    AUTOSCALERS,
    GATEWAY,
    RELAY,
    ROOT,
    ManifestError,
    default,
    megabytes,
    millicores,
    read,
)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    return tmp_path


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_settings_are_the_defaults_unless_a_manifest_sets_them(copied: Path) -> None:
    assert read(copied).services[RELAY].capacity == default(RelaySettings, "relay_capacity")
    kustomization = copied / "k8s/base/agent-relay/kustomization.yaml"
    _replace(kustomization, "      - DRAIN_TIMEOUT_S=300", "      - DRAIN_TIMEOUT_S=240\n      - RELAY_CAPACITY=33")
    relay = read(copied).services[RELAY]
    assert (relay.capacity, relay.drain_s) == (33, 240)


def test_numbers_of_the_manifests_are_read(copied: Path) -> None:
    for file, old, new in (
        ("base/media-gateway/deployment.yaml", "cpu: 450m", "cpu: 1.5"),
        ("base/media-gateway/deployment.yaml", "minReadySeconds: 320", "minReadySeconds: 77"),
        ("components/keda/scaled-objects.yaml", 'targetValue: "80"', 'targetValue: "81"'),
        ("components/hpa/autoscalers.yaml", 'averageValue: "80"', 'averageValue: "82"'),
        ("overlays/aks/kustomization.yaml", "CALLS_PER_MIN=24", "CALLS_PER_MIN=48"),
    ):
        _replace(copied / "k8s" / file, old, new)
    found = read(copied)
    gateway = found.services[GATEWAY]
    assert (gateway.cpu_m, gateway.min_ready_s) == (1500, 77)
    assert [gateway.scaling[name].target for name in AUTOSCALERS] == [81, 82]
    assert found.calls_per_min == 48


def test_a_missing_autoscaler_is_named(copied: Path) -> None:
    shutil.rmtree(copied / "k8s/components/hpa")
    with pytest.raises(ManifestError, match="components/hpa has no autoscaler for"):
        read(copied)


def test_quantities() -> None:
    assert (millicores("250m"), millicores("1"), millicores("1.5")) == (250, 1000, 1500)
    assert megabytes("100Mi") == pytest.approx(104.8576)
    assert megabytes("1Gi") == pytest.approx(1073.741824)
