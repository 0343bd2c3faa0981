"""Compares the services' metrics with the simulators and the transcript of a call."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lab.call_checks import CallCheck
from lab.observed_call import ObservedCall
from lab.stack import Stack
from lab.wire import Json, raw

SERVICES: Final = ("call-control", "media-gateway", "agent-relay")
_SAMPLE: Final = re.compile(r"^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)$", re.MULTILINE)

Metrics = Mapping[str, float]
"""Value by sample, in the Prometheus text format: `name{label="value"}`."""


def read_metrics(stack: Stack, service: str) -> Metrics:
    """Read the metrics of one service. Raises `WireError`."""
    return parse_metrics(raw("GET", f"{stack.url(service)}/metrics").decode())


def parse_metrics(text: str) -> Metrics:
    return {name: float(value) for name, value in _SAMPLE.findall(text)}


@dataclass(frozen=True, slots=True)
class MetricsBefore:
    """Metrics of each service before the call. `settle_s`: maximum time after the call until the metrics have their
    final values.
    """

    services: Mapping[str, Metrics]
    read_now: Callable[[str], Metrics]
    settle_s: float = 2.0

    @classmethod
    def read(cls, stack: Stack) -> MetricsBefore:
        read_now = functools.partial(read_metrics, stack)
        return cls({service: read_now(service) for service in SERVICES}, read_now)

    @property
    def other_calls(self) -> bool:
        """Whether other calls were active. They would change the differences."""
        return any(metrics.get("bridge_active_calls", 0) > 0 for metrics in self.services.values())

    def checks(self, call: ObservedCall, transcript: list[Json]) -> Iterator[CallCheck]:
        if self.other_calls:
            return
        wanted_of = expected(call, transcript)
        for service, wanted in wanted_of.items():
            grown = self._grown(service, wanted)
            wrong = [
                f"{name} {grown[name]:g}, expected {value:g}" for name, value in wanted.items() if grown[name] != value
            ]
            shown = ", ".join(f"{_short(name)} {value:g}" for name, value in wanted.items())
            yield CallCheck(f"/metrics of {service} match", not wrong, "; ".join(wrong) or shown)

    def _grown(self, service: str, wanted: Metrics) -> Metrics:
        before, deadline = self.services[service], time.monotonic() + self.settle_s
        while True:
            now = self.read_now(service)
            grown = {name: now.get(name, 0.0) - before.get(name, 0.0) for name in wanted}
            if grown == wanted or time.monotonic() > deadline:
                return grown
            time.sleep(0.1)


def expected(call: ObservedCall, transcript: list[Json]) -> dict[str, dict[str, float]]:
    """Return the expected increase of each metric, by service."""
    stops = len(call.times("phone", "stop_audio"))
    turns = [row for row in transcript if row.get("role")]
    answered = len(call.times("phone", "answered"))
    return {
        "call-control": {
            'bridge_calls_total{status="ringing"}': 1,
            'bridge_calls_total{status="connected"}': answered,
            'bridge_calls_total{status="ended"}': 1,
            'bridge_answer_seconds_count{until="connected"}': answered,
        },
        "media-gateway": {
            'bridge_gateway_attaches_total{kind="first"}': len(call.times("phone", "media_open")),
            "bridge_gateway_clears_total": stops,
            "bridge_barge_in_seconds_count": stops,
        },
        "agent-relay": {
            "bridge_relay_barge_ins_total": stops,
            'bridge_relay_turns_total{role="caller"}': sum(row["role"] == "caller" for row in turns),
            'bridge_relay_turns_total{role="agent"}': sum(row["role"] == "agent" for row in turns),
            "bridge_relay_first_delta_seconds_count": _measured(turns, "first_delta_ms"),
            "bridge_relay_first_frame_seconds_count": _measured(turns, "first_frame_ms"),
        },
    }


def _measured(turns: list[Json], latency: str) -> int:
    return sum(row[latency] is not None and row[latency] >= 0 for row in turns if latency in row)


def _short(name: str) -> str:
    """Shorten a metric name for printing: `bridge_relay_turns_total{role="agent"}` → `turns agent`."""
    bare, _, labels = name.partition("{")
    for part in ("bridge_", "relay_", "gateway_", "_total", "_count"):
        bare = bare.replace(part, "")
    value = labels.partition('"')[2].partition('"')[0]
    return f"{bare} {value}".strip().replace("_", " ")
