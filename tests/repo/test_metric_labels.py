"""No request can create time series: every label has a fixed set of values (`telemetry.Label`)."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from prometheus_client.metrics import MetricWrapperBase

from bridge_common.observability import telemetry
from bridge_common.observability.telemetry import Labeled

PACKAGES = ("bridge_common", "call_control", "media_gateway", "agent_relay")
MOST = 128
"""Maximum number of values of one label."""
BUILD = "bridge_build_info"
"""One series: its labels are values of the process itself."""
SCRIPTS = ("call_control.call_states",)
"""Modules that another test runs as programs; they must not be imported before."""


@pytest.fixture(scope="module")
def metrics() -> list[MetricWrapperBase]:
    """The metrics with labels that the modules of the services create when they are imported."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if module.name not in SCRIPTS:
                importlib.import_module(module.name)
    found = telemetry.REGISTRY._collector_to_names
    labeled = [metric for metric in found if isinstance(metric, MetricWrapperBase) and metric._labelnames]
    return [metric for metric in labeled if metric._name.startswith("bridge_") and metric._name != BUILD]


def test_every_label_is_closed(metrics: list[MetricWrapperBase]) -> None:
    assert len(metrics) > 15
    for metric in metrics:
        assert isinstance(metric, Labeled), f"{metric}: create it with telemetry.counter, gauge or histogram"
        assert [label.name for label in metric.closed] == list(metric._labelnames)
        for label in metric.closed:
            assert 0 < len(label.values) + label.most <= MOST, f"{metric}: {label.name}"


def test_values_of_requests_are_limited_to_a_closed_set(metrics: list[MetricWrapperBase]) -> None:
    """No request must reach a label that accepts new values at run time."""
    growing = {
        f"{metric._name}.{label.name}"
        for metric in metrics
        if isinstance(metric, Labeled)
        for label in metric.closed
        if label.most
    }
    assert growing == {
        "bridge_requests_refused.endpoint",
        "bridge_requests_refused.code",
        "bridge_relay_quota_waits.resource",
        "bridge_relay_resource_pauses.resource",
        "bridge_voice_quota_connections.resource",
    }
