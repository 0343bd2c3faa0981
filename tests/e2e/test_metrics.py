"""The metrics of the real processes: each counter of the documentation exists with 0 before the first call."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

import agent_relay.app
import call_control.app
import media_gateway.app
from bridge_common.observability.telemetry import Labeled
from lab.stack import Stack

SERVICES = {
    "call-control": call_control.app,
    "media-gateway": media_gateway.app,
    "agent-relay": agent_relay.app,
}
PAGE = Path(__file__).parents[2] / "docs/telemetry.md"
_ROW = re.compile(r"^\| (`bridge_[^|]+) \| ([^|]+) \| ([^|]+) \|([^|]*)\|", re.MULTILINE)
_DEPRECATED = re.compile(r"Deprecated name[^`|]*`(bridge_\w+)`")
_MOVES_AT_START = {
    *("bridge_inbox_entries_total", "bridge_redis_outages_total"),
    *("bridge_token_failures_total", "bridge_signing_key_failures_total"),
}
"""Counters that may have counted something before the first call, for example a time-out on a busy machine."""
_NOT_HERE = {"bridge_voice_quota_connections", "bridge_calls_overflowed_total", "bridge_calls_overflowed"}
"""Their series begin with a setting or a policy that the stack does not have: a limit for connections to Voice Live, a
rule with `max_calls`.
"""
_MOST_BYTES = 120_000


@dataclass(frozen=True, slots=True)
class Documented:
    name: str
    services: frozenset[str]
    kind: str
    labels: tuple[str, ...]


def documented() -> Iterator[Documented]:
    for names, where, kind, labels in _ROW.findall(PAGE.read_text(encoding="utf-8")):
        for name in re.findall(r"`(bridge_\w+)`", names):
            found = tuple(re.findall(r"`(\w+)`", labels))
            yield Documented(name, frozenset(_services(where)), kind.strip(), found)


def _services(where: str) -> Iterator[str]:
    if where.strip() == "all":
        yield from SERVICES
    elif where.strip() == "both media services":
        yield from ("media-gateway", "agent-relay")
    else:
        yield from (name.strip() for name in where.split(","))


def labeled() -> Iterator[Labeled]:
    """Return the metrics with labels of the imported modules."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("bridge_common", "call_control", "media_gateway", "agent_relay"):
            yield from (metric for metric in vars(module).values() if isinstance(metric, Labeled) and metric.closed)


def families(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("service", SERVICES)
def test_each_documented_metric_exists_before_the_first_call(service: str, first_metrics: Mapping[str, str]) -> None:
    shown = families(first_metrics[service])
    rows = [row for row in documented() if service in row.services and row.name not in _NOT_HERE]
    assert len(rows) > 15
    for row in rows:
        family = shown.get(row.name.removesuffix("_total"))
        assert family is not None, f"{row.name} does not exist"
        assert family.type == row.kind, row.name
        assert family.samples, f"{row.name} has no series"
        names = {name for sample in family.samples for name in sample.labels} - {"le"}
        assert names == set(row.labels), row.name
        if row.kind == "counter" and row.name not in _MOVES_AT_START:
            moved = [sample for sample in family.samples if sample.value]
            assert not moved, f"{row.name} was not 0"
    ours = {name for name in shown if name.startswith("bridge_")}
    known = {row.name for row in rows} | set(_DEPRECATED.findall(PAGE.read_text(encoding="utf-8"))) | _NOT_HERE
    unknown = ours - {name.removesuffix("_total") for name in known}
    assert not unknown, f"{service} has metrics that the table does not give it"


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("service", SERVICES)
def test_each_value_of_a_closed_label_has_a_series(service: str, first_metrics: Mapping[str, str]) -> None:
    shown = families(first_metrics[service])
    closed: dict[str, Labeled] = {family.name: metric for metric in labeled() for family in metric.collect()}
    checked = 0
    for name in shown.keys() & closed.keys() - _NOT_HERE:
        values: dict[str, set[str]] = defaultdict(set)
        for sample in shown[name].samples:
            for label_name, value in sample.labels.items():
                values[label_name].add(value)
        for label in closed[name].closed:
            missing = label.values - values[label.name]
            assert not missing or label.name == "rule", f"{name}: no series for {missing}"
            checked += 1
    assert checked > 3


@pytest.mark.parametrize("service", SERVICES)
def test_a_scrape_is_small(service: str, stack: Stack, first_metrics: Mapping[str, str]) -> None:
    assert 5_000 < len(first_metrics[service]) < _MOST_BYTES


@pytest.mark.usefixtures("stack")
def test_the_build_is_identified(first_metrics: Mapping[str, str]) -> None:
    for service in SERVICES:
        [sample] = families(first_metrics[service])["bridge_build_info"].samples
        assert sample.labels["service"] == service
        assert sample.labels["version"]
        assert sample.value == 1
