"""Measured inputs of the plan: calculated from the figures of `python -m bench`, and stored in measured.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from agent_relay.core.protocol.voice_codec import encode_append
from bench.alone import HANDLED, KEPT_UP_PCT
from bench.bridges import Bridge, Shape
from bench.recorded import Recording, audio
from bench.report import measured_on
from bench.runs import NotMeasuredError
from bench.service_traffic import GATEWAY, RELAY
from bridge_common.wire.audio import FRAME_MS, PHONE_RATE_HZ, VOICE_RATE_HZ
from lab.text_frames import encode_client_text, encode_server_text
from media_gateway.core.acs_media import encode_audio
from sizing.line import Line

STORED: Final = Path(__file__).with_name("measured.json")
SHAPE: Final = Shape.DELTAS
"""Voice Live sends an agent's speech in deltas of this duration."""
CPU: Final = "CPU, ms/s/call"
REDIS_CPU: Final = "CPU of redis, ms/s/call"
Whole = Mapping[str, Any]
"""Stored outcomes of `python -m bench`, by measurement."""


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
    def of(cls, whole: Whole, bandwidth: Bandwidth) -> Measured:
        """Calculate the inputs. Raises `NotMeasuredError`."""
        gateway, relay = points(whole, GATEWAY), points(whole, RELAY)
        set_up = [run["figures"] for run in _runs(whole, "set-up") if run["bridge"] == Bridge.OURS]
        largest = [found[max(found)] for found in (gateway, relay)]
        return cls(
            gateway_cpu=line(gateway, CPU),
            relay_cpu=line(relay, CPU),
            gateway_redis_cpu=line(gateway, REDIS_CPU),
            relay_redis_cpu=line(relay, REDIS_CPU),
            gateway_mb=line(gateway, "memory, MB"),
            relay_mb=line(relay, "memory, MB"),
            control_ms_per_call=fmean(figures["CPU of call-control, ms/call"] for figures in set_up),
            redis_mb_per_call=float(whole["alone"]["extra"]["stream_mb"]),
            redis_in_kb=max(figures["Redis in, KB/s/call"] for figures in largest),
            redis_out_kb=sum(figures["Redis out, KB/s/call"] for figures in largest),
            bandwidth=bandwidth,
        )


@dataclass(frozen=True, slots=True)
class Check:
    """A prediction of CPU (ms/s) by the lines, and what was measured."""

    name: str
    calls: int
    predicted: float
    measured: float


@dataclass(frozen=True, slots=True)
class Stored:
    on: str
    """Date, machine and versions of the measurement, in Markdown."""
    measured: Measured
    checks: Sequence[Check]


def of_results(results: Mapping[str, Any]) -> Stored:
    """Calculate the inputs from the results of `python -m bench`. Raises `NotMeasuredError`."""
    whole = results["whole"]
    return Stored(measured_on(results), Measured.of(whole, Bandwidth.of_recording()), checks(whole))


def load(path: Path = STORED) -> Stored:
    stored = json.loads(path.read_text(encoding="utf-8"))
    values: dict[str, Any] = {
        name: Line(**value) if isinstance(value, dict) and "each" in value else value
        for name, value in stored["measured"].items()
    }
    values["bandwidth"] = Bandwidth(**values["bandwidth"])
    return Stored(stored["on"], Measured(**values), [Check(**check) for check in stored["checks"]])


def save(stored: Stored, path: Path = STORED) -> None:
    path.write_text(json.dumps(asdict(stored), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def inputs(measured: Measured) -> list[tuple[str, Line | float]]:
    """Return all inputs with their names."""
    found: list[tuple[str, Line | float]] = [
        (one.name, getattr(measured, one.name)) for one in fields(measured) if one.name != "bandwidth"
    ]
    return found + [(one.name, getattr(measured.bandwidth, one.name)) for one in fields(measured.bandwidth)]


# -- the figures of `python -m bench`
def points(whole: Whole, service: str) -> dict[int, dict[str, float]]:
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


def _runs(whole: Whole, name: str) -> list[dict[str, Any]]:
    if name not in whole:
        raise NotMeasuredError(f"not measured yet; run `python -m bench {name}`")
    return list(whole[name]["runs"])


def checks(whole: Whole) -> list[Check]:
    """Compare predictions with measurements: each size predicted from the others, and whole calls from the lines of
    each service by itself.
    """
    found: list[Check] = []
    for service in (GATEWAY, RELAY):
        alone = points(whole, service)
        found += left_out(f"{service} alone: {service}", totals(alone, CPU))
        found += left_out(f"{service} alone: redis", totals(alone, REDIS_CPU))
        for run in whole.get("calls", {}).get("runs", []):
            labels, name = run["labels"], f"CPU of {service}, ms/s/call"
            if run["bridge"] == Bridge.OURS and labels["shape"] == SHAPE:
                calls = labels["calls"]
                predicted = line(alone, CPU).at(calls)
                found.append(Check(f"{service} in whole calls", calls, predicted, run["figures"][name] * calls))
    return found


def left_out(name: str, found: Mapping[int, float]) -> list[Check]:
    """Predict each size by the line through the other sizes."""
    rows = []
    for calls, ms in found.items():
        others = {size: value for size, value in found.items() if size != calls}
        if others:
            label = f"{name}, from {', '.join(map(str, others))}"
            rows.append(Check(label, calls, Line.through(others).at(calls), ms))
    return rows
