"""The metrics that the services expose, with the values of their labels, from the registries of their modules."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from prometheus_client.metrics import MetricWrapperBase

from bridge_common.observability.telemetry import Labeled

_PACKAGES: Final = ("bridge_common", "call_control", "media_gateway", "agent_relay")
_SCRIPTS: Final = ("call_control.call_states",)
"""Modules that another test runs as programs; they must not be imported before."""
_OF_TARGETS: Final = frozenset({"job", "pod", "instance", "namespace"})
"""Labels that Prometheus adds to each target."""
_PARTS: Final = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
_SELECTOR: Final = re.compile(r"\b((?:bridge_|process_|voice_bridge:)[\w:]+|up)\b(?:\{([^}]*)\})?")
_MATCHER: Final = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_PROCESS: Final = ("start_time_seconds", "cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds")

Values = frozenset[str] | None
"""Values of a label; None if they are names from the settings."""


@cache
def exposed() -> Mapping[str, Mapping[str, Values]]:
    """Return the labels of each series, by its name."""
    found: dict[str, dict[str, Values]] = {"up": {}, **{f"process_{name}": {} for name in _PROCESS}}
    for metric in _metrics():
        labels = _labels(metric)
        families: Any = metric.describe() if isinstance(metric, MetricWrapperBase) else metric.collect()
        for family in families:
            for part in _PARTS[family.type]:
                found[family.name + part] = {**labels, **({"le": None} if part == "_bucket" else {})}
                for sample in family.samples:
                    found[family.name + part] |= dict.fromkeys(sample.labels, None)
    return found


def mistakes(expression: str) -> list[str]:
    """Return a line for each metric, label and label value in a PromQL expression that no service exposes."""
    known, wrong = exposed(), []
    for name, selector in _SELECTOR.findall(expression):
        if name.startswith("voice_bridge:"):
            continue
        if name not in known:
            wrong.append(f"no service exposes {name}")
            continue
        for label, operator, value in _MATCHER.findall(selector or ""):
            if label in _OF_TARGETS and label not in known[name]:
                continue
            if label not in known[name]:
                wrong.append(f"{name} has no label {label}")
                continue
            values = known[name][label]
            given = value.split("|") if operator in ("=~", "!~") else [value]
            unknown = [one for one in given if values is not None and one not in values and not one.startswith("$")]
            wrong += [f"{name}: {label} is never {one!r}" for one in unknown]
    return wrong


def _labels(metric: object) -> dict[str, Values]:
    if not isinstance(metric, Labeled):
        return {}
    return {label.name: None if label.most else frozenset(label.values) for label in metric.closed}


def _is_metric(one: object) -> bool:
    """Whether the object is a metric or a collector of ours."""
    of_ours = type(one).__module__.startswith(_PACKAGES) and hasattr(one, "collect")
    return isinstance(one, MetricWrapperBase) or of_ours


def _metrics() -> Iterator[Any]:
    for package in _PACKAGES:
        for info in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if info.name not in _SCRIPTS:
                module = importlib.import_module(info.name)
                yield from (one for one in vars(module).values() if _is_metric(one))
