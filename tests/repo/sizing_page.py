"""Capacity planning: the tables of docs/sizing.md, calculated from the figures that `python -m bench` stored.

    python -m tests.repo.sizing_page           # prints the tables
    python -m tests.repo.sizing_page --write   # writes them into docs/sizing.md

The page explains each formula. `Measured.of` reads the stored figures, `plan` calculates pods, Redis, networks and
quota for N concurrent calls.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import ceil, floor, inf
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from agent_relay.core.protocol.voice_codec import encode_append
from bench.alone import HANDLED, KEPT_UP_PCT
from bench.bridges import Bridge, Shape
from bench.recorded import Recording, audio
from bench.report import Cell, Table, measured_on
from bench.runs import JSON_PATH, NotMeasuredError, read_results
from bench.service_traffic import GATEWAY, RELAY
from bridge_common.wire.audio import FRAME_MS, PHONE_RATE_HZ, VOICE_RATE_HZ
from lab.text_frames import encode_client_text, encode_server_text
from media_gateway.core.acs_media import encode_audio

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "sizing.md"
BEGIN: Final = "<!-- figures -->"
END: Final = "<!-- end of figures -->"
SIZES: Final = (100, 1_000, 10_000)
_UNITS: Final = {"cpu": "ms/s", "mb": "MB", "kb": "KB/s", "call": "ms"}
CORE_MS: Final = 1000.0
SHAPE: Final = Shape.DELTAS
"""Duration of a delta: Voice Live sends an agent's speech in deltas."""
Stored = Mapping[str, Any]
_CPU: Final = "CPU, ms/s/call"
_REDIS_CPU: Final = "CPU of redis, ms/s/call"


@dataclass(frozen=True, slots=True)
class Line:
    """CPU (ms per second) or memory (MB) of one process: a fixed part and a part per call."""

    fixed: float
    each: float

    def at(self, calls: float) -> float:
        return self.fixed + self.each * calls

    def calls_within(self, budget: float) -> int:
        return max(0, floor((budget - self.fixed) / self.each))

    @classmethod
    def through(cls, points: Mapping[int, float]) -> Line:
        """Fit the line with the least relative error, so that all sizes have equal weight. Its fixed part is 0 for a
        single point, or if it would be negative.
        """
        weights = {calls: 1 / value**2 for calls, value in points.items()}
        total = sum(weights.values())
        mean_calls = sum(weight * calls for calls, weight in weights.items()) / total
        mean_value = sum(weight * points[calls] for calls, weight in weights.items()) / total
        spread = sum(weight * (calls - mean_calls) ** 2 for calls, weight in weights.items())
        if spread > 0:
            each = sum(w * (n - mean_calls) * (points[n] - mean_value) for n, w in weights.items()) / spread
            if 0 < each <= mean_value / mean_calls:
                return cls(mean_value - each * mean_calls, each)
        through_zero = sum(weight * calls * points[calls] for calls, weight in weights.items())
        return cls(0.0, through_zero / sum(weight * calls**2 for calls, weight in weights.items()))


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """KB (1,000 bytes) per second of one call, without TCP, IP and TLS; the agent's audio while the agent speaks."""

    acs_in_kb: float
    acs_out_kb: float
    """In messages of 20 ms; longer messages need a few percent less."""
    voice_out_kb: float
    voice_in_kb: float

    @classmethod
    def of_recording(cls) -> Bandwidth:
        recording = Recording.of(Shape.DELTAS)
        to_acs = encode_server_text(encode_audio(audio(FRAME_MS, PHONE_RATE_HZ)))
        to_voice = encode_client_text(encode_append(audio(FRAME_MS, VOICE_RATE_HZ)))
        return cls(
            acs_in_kb=len(encode_client_text(recording.media_message)) / FRAME_MS,
            acs_out_kb=len(to_acs) / FRAME_MS,
            voice_out_kb=len(to_voice) / FRAME_MS,
            voice_in_kb=len(encode_server_text(recording.delta)) / Shape.DELTAS.delta_ms,
        )


@dataclass(frozen=True, slots=True)
class Assumed:
    """Inputs that the operator chooses: traffic, quotas and reserves."""

    mean_call_s: float = 180.0
    agent_talks: float = 0.5
    """Fraction of the call during which the agent talks. Applies to networks and tokens; CPU is measured with an agent
    that talks all the time.
    """
    busy: float = 0.6
    """Target utilization of a core, for the services and for Redis."""
    spare_pods: int = 1
    replicas: int = 1
    """Replicas of each Redis server."""
    connections_per_min: int = 30
    """New connections per minute to one Voice Live resource."""
    tokens_per_min: int = 120_000
    """Token quota of one Voice Live resource."""
    tokens_in_per_s: float = 10.0
    """Input tokens during the whole call, for a model that processes the caller's audio."""
    tokens_out_per_s: float = 20.0
    """Output tokens while the agent talks."""
    pod_calls_max: int = 200
    """Calls of the largest pod that was measured."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Measured inputs of the plan, named as in docs/sizing.md."""

    gateway_cpu: Line
    relay_cpu: Line
    gateway_redis_cpu: Line
    """CPU of Redis for one gateway, including the appends that it reads."""
    relay_redis_cpu: Line
    gateway_mb: Line
    relay_mb: Line
    control_ms_per_call: float
    """CPU of call-control from the webhook to the end of the call."""
    redis_mb_per_call: float
    redis_in_kb: float
    """KB per second and call."""
    redis_out_kb: float
    bandwidth: Bandwidth

    @classmethod
    def of(cls, whole: Stored, bandwidth: Bandwidth) -> Measured:
        """Calculate the inputs. `whole`: stored outcomes by measurement. Raises `NotMeasuredError`."""
        gateway, relay = points(whole, GATEWAY), points(whole, RELAY)
        set_up = [run["figures"] for run in _runs(whole, "set-up") if run["bridge"] == Bridge.OURS]
        largest = [found[max(found)] for found in (gateway, relay)]
        return cls(
            gateway_cpu=line(gateway, _CPU),
            relay_cpu=line(relay, _CPU),
            gateway_redis_cpu=line(gateway, _REDIS_CPU),
            relay_redis_cpu=line(relay, _REDIS_CPU),
            gateway_mb=line(gateway, "memory, MB"),
            relay_mb=line(relay, "memory, MB"),
            control_ms_per_call=fmean(figures["CPU of call-control, ms/call"] for figures in set_up),
            redis_mb_per_call=float(whole["alone"]["extra"]["stream_mb"]),
            redis_in_kb=max(figures["Redis in, KB/s/call"] for figures in largest),
            redis_out_kb=sum(figures["Redis out, KB/s/call"] for figures in largest),
            bandwidth=bandwidth,
        )


Plan = dict[str, float]
"""The rows of the plan. Counts are integers."""


def plan(calls: int, measured: Measured, assumed: Assumed) -> Plan:
    per_min = calls * 60 / assumed.mean_call_s
    gateway_calls = pod_calls(measured.gateway_cpu, assumed)
    relay_calls = pod_calls(measured.relay_cpu, assumed)
    budget_ms = assumed.busy * CORE_MS
    control_ms = per_min / 60 * measured.control_ms_per_call
    # Each pod has its own readers, so the cost of a call is its cost in a full pod. Appends are counted twice here.
    redis_ms = measured.gateway_redis_cpu.at(gateway_calls) / gateway_calls
    redis_ms += measured.relay_redis_cpu.at(relay_calls) / relay_calls
    tokens_per_s = assumed.tokens_in_per_s + assumed.tokens_out_per_s * assumed.agent_talks
    by_connections = ceil(per_min / assumed.connections_per_min)
    by_tokens = ceil(calls * tokens_per_s * 60 / assumed.tokens_per_min)
    quota_left = max(by_connections, by_tokens) * assumed.connections_per_min - per_min
    network, talks = measured.bandwidth, assumed.agent_talks
    return {
        "new calls a minute": round(per_min),
        "call-control: pods": ceil(control_ms / budget_ms) + assumed.spare_pods,
        "media-gateway: pods": ceil(calls / gateway_calls) + assumed.spare_pods,
        "media-gateway: calls per pod": gateway_calls,
        "media-gateway: MB per pod": round(measured.gateway_mb.at(gateway_calls)),
        "agent-relay: pods": ceil(calls / relay_calls) + assumed.spare_pods,
        "agent-relay: calls per pod": relay_calls,
        "agent-relay: MB per pod": round(measured.relay_mb.at(relay_calls)),
        "Redis: primaries": ceil(calls * redis_ms / budget_ms),
        "Redis: MB, all primaries": round(calls * measured.redis_mb_per_call),
        "Redis: MB/s in": calls * measured.redis_in_kb / 1000,
        "Redis: MB/s out": calls * measured.redis_out_kb / 1000,
        "Redis: MB/s to replicas": calls * measured.redis_in_kb / 1000 * assumed.replicas,
        "ACS media: MB/s in": calls * network.acs_in_kb / 1000,
        "ACS media: MB/s out": calls * network.acs_out_kb * talks / 1000,
        "Voice Live: MB/s out": calls * network.voice_out_kb / 1000,
        "Voice Live: MB/s in": calls * network.voice_in_kb * talks / 1000,
        "Voice Live: resources for new connections": by_connections,
        "Voice Live: resources for tokens": by_tokens,
        "minutes until the calls of a dead relay have a session again": (
            min(calls, relay_calls) / quota_left if quota_left > 0 else inf
        ),
    }


def pod_calls(cpu: Line, assumed: Assumed) -> int:
    return max(1, min(cpu.calls_within(assumed.busy * CORE_MS), assumed.pod_calls_max))


# -- measured figures
def points(whole: Stored, service: str) -> dict[int, dict[str, float]]:
    """Return mean figures by number of calls, from the runs that kept up, with speech in deltas. Raises
    `NotMeasuredError`.
    """
    found: dict[int, list[dict[str, float]]] = {}
    for run in _runs(whole, "alone"):
        labels, figures = run["labels"], run["figures"]
        if (labels["service"], labels["shape"]) == (service, SHAPE) and figures[HANDLED] >= KEPT_UP_PCT:
            found.setdefault(labels["calls"], []).append(figures)
    if not found:
        raise NotMeasuredError(f"no run of {service} alone kept up; run `python -m bench alone`")
    return {calls: means(some) for calls, some in sorted(found.items())}


def line(found: Mapping[int, Mapping[str, float]], name: str) -> Line:
    return Line.through(totals(found, name))


def totals(found: Mapping[int, Mapping[str, float]], name: str) -> dict[int, float]:
    """Return the figure summed over all calls, by number of calls."""
    return {n: figures[name] * (n if name.endswith("/call") else 1) for n, figures in found.items() if name in figures}


def means(some: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: fmean(figures[name] for figures in some) for name in some[0]}


def _runs(whole: Stored, name: str) -> list[dict[str, Any]]:
    if name not in whole:
        raise NotMeasuredError(f"not measured yet; run `python -m bench {name}`")
    return list(whole[name]["runs"])


# -- the page
def tables(whole: Stored, assumed: Assumed | None = None) -> list[Table]:
    """Return the tables of the page. Raises `NotMeasuredError`."""
    measured = Measured.of(whole, Bandwidth.of_recording())
    return [inputs_table(measured), plan_table(measured, assumed or Assumed()), check_table(whole)]


def with_figures(page: str, results: Mapping[str, Any]) -> str:
    """Return the page with these tables between its markers. Raises `NotMeasuredError`."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    found = [measured_on(results), *(table.markdown() for table in tables(results["whole"]))]
    return before + "\n".join([BEGIN, *found, END]) + after


def inputs_table(measured: Measured) -> Table:
    values = [(one.name, getattr(measured, one.name)) for one in fields(measured) if one.name != "bandwidth"]
    values += [(one.name, getattr(measured.bandwidth, one.name)) for one in fields(measured.bandwidth)]
    rows: list[list[Cell]] = []
    for name, value in values:
        unit = "MB" if name == "redis_mb_per_call" else _UNITS[name.rsplit("_", 1)[1]]
        pair = (f"{value.fixed:.1f}", f"{value.each:.3f}") if isinstance(value, Line) else ("", f"{value:.2f}")
        rows.append([name, *pair, unit])
    return Table("Measured inputs", ["", "per process", "per call", "unit"], rows)


def plan_table(measured: Measured, assumed: Assumed) -> Table:
    plans = [plan(calls, measured, assumed) for calls in SIZES]
    rows: list[list[Cell]] = [[name, *(_text(one[name]) for one in plans)] for name in plans[0]]
    note = (
        f"A call lasts {assumed.mean_call_s:.0f} s on average, the agent talks {assumed.agent_talks:.0%} of it. Target "
        f"utilization {assumed.busy:.0%}, {assumed.spare_pods} spare pod per service, {assumed.replicas} Redis replica."
    )
    return Table("Plan", ["concurrent calls", *(f"{calls:,}" for calls in SIZES)], rows, (note,))


def _text(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def check_table(whole: Stored) -> Table:
    """Return the table that compares predictions with measurements: each size predicted from the others, and whole
    calls from the lines of each service by itself.
    """
    rows: list[list[Cell]] = []
    for service in (GATEWAY, RELAY):
        alone = points(whole, service)
        rows += left_out(f"{service} alone: {service}", totals(alone, "CPU, ms/s/call"))
        rows += left_out(f"{service} alone: redis", totals(alone, "CPU of redis, ms/s/call"))
        for run in whole.get("calls", {}).get("runs", []):
            labels, name = run["labels"], f"CPU of {service}, ms/s/call"
            if run["bridge"] == Bridge.OURS and labels["shape"] == SHAPE:
                calls = labels["calls"]
                predicted = line(alone, "CPU, ms/s/call").at(calls)
                rows.append(_checked(f"{service} in whole calls", calls, predicted, run["figures"][name] * calls))
    return Table("Predicted and measured", ["", "calls", "predicted, ms/s", "measured, ms/s", "error, %"], rows)


def left_out(name: str, found: Mapping[int, float]) -> list[list[Cell]]:
    """Return a row for each size, predicted by the line through the other sizes."""
    rows = []
    for calls, ms in found.items():
        others = {size: value for size, value in found.items() if size != calls}
        if others:
            label = f"{name}, from {', '.join(map(str, others))}"
            rows.append(_checked(label, calls, Line.through(others).at(calls), ms))
    return rows


def _checked(name: str, calls: int, predicted: float, measured: float) -> list[Cell]:
    return [name, calls, predicted, measured, f"{100 * (predicted / measured - 1):+.1f}"]


def main(arguments: Sequence[str], page: Path = PAGE, stored: Path = JSON_PATH) -> int:
    try:
        results = read_results(stored)
        if "--write" in arguments:
            page.write_text(with_figures(page.read_text(encoding="utf-8"), results), encoding="utf-8")
        else:
            sys.stdout.write("\n\n".join(table.render() for table in tables(results["whole"])) + "\n")
    except NotMeasuredError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
