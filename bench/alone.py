"""Each service by itself: the CPU of a call as calls become many, with a Redis and prepared traffic around it.

On a small machine some hundred calls do not fit beside two simulators that decode every frame.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import redis
import uvloop

from bench.bridges import Environment, Shape, capacity, merged
from bench.call_run import MB
from bench.recorded import FRAMES_PER_S, Recording, stream_mb
from bench.report import Options, Outcome, Table, grouped, progress
from bench.service_traffic import GATEWAY, RELAY, Traffic, traffic
from bridge_common.audio import PHONE_RATE_HZ, bytes_of_ms
from lab.redis_server import redis_server
from lab.stack import Ports, Stack, StackError, running
from lab.traffic import cpu_s, rss_bytes
from media_gateway.core.acs_media import encode_audio

SERVICES: Final = (GATEWAY, RELAY)
TRAFFIC: Final = "traffic"
"""The process that measures."""
KEPT_UP: Final = 0.98
"""Least share of the traffic that has to be handled; with less, the load was another one."""
_SETTLE_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class AloneRun:
    service: str
    shape: Shape
    calls: int
    cpu_ms: dict[str, float]
    """CPU ms per second and call: of the service, of Redis and of the traffic."""
    handled_share: float
    """Of the traffic that was due, what came out at the other end, in the worse direction."""
    kept_up: bool
    rss_mb_idle: float
    rss_mb: float
    redis_in_bytes: float
    """A second and call."""
    redis_out_bytes: float


@dataclass(slots=True)
class AloneStack(Stack):
    """One service and a Redis."""

    service: str = GATEWAY

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "profiles.yaml").write_text("default:\n  greeting: null\n", encoding="utf-8")
        self._start_redis()
        self.launch_part(self.service)
        self.await_ready()

    def stop(self) -> None:
        """At once: the end of hundreds of calls is not measured."""
        for process in self.processes:
            if process.popen:
                process.popen.kill()
                process.popen.wait()


def measure(options: Options) -> Outcome:
    runs: list[AloneRun] = []
    failures: list[str] = []
    for _, calls, shape, service in product(range(options.runs), options.alone_calls, Shape, SERVICES):
        try:
            runs.append(run_alone(service, shape, calls, options.seconds, options.folder))
            progress(one_line(runs[-1]))
        except (StackError, TimeoutError) as error:
            failures.append(f"{service}, {shape}, {calls} calls: {error!r}")
            progress(f"FAILED: {failures[-1]}")
    recording = Recording.of(Shape.DELTAS)
    with redis_server() as url, redis.Redis.from_url(url) as asking:
        memory_mb = round(sum(stream_mb(asking, entry) for entry in (recording.uplink, recording.downlink)), 2)
    figures = {"runs": [asdict(run) for run in runs], "failed": failures, "stream_mb": memory_mb}
    return Outcome([table(runs, memory_mb, failures)], figures)


def run_alone(service: str, shape: Shape, calls: int, seconds: float, folder: Path) -> AloneRun:
    """Raises `StackError`, `NoRedisError`, `TimeoutError`."""
    folder = (folder / "alone").resolve()
    stack = AloneStack(Ports.free(), folder, merged(capacity(calls), environment(folder)), service=service)
    with running(stack), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure(stack, shape, calls, seconds))


def environment(folder: Path) -> Environment:
    return {
        GATEWAY: {"ACS_JWT_MODE": "off", "ALLOW_INSECURE": "known-keys,unchecked-tokens"},
        RELAY: {
            "AGENT_NAME": "",
            "AGENT_PROJECT_NAME": "",
            "VOICE_LIVE_MODEL": "recorded",
            "AZURE_VOICE_LIVE_API_KEY": "recorded",
            "AGENT_PROFILES_FILE": str(folder / "profiles.yaml"),
        },
    }


async def _measure(stack: AloneStack, shape: Shape, calls: int, seconds: float) -> AloneRun:
    service = stack.service
    idle_bytes = rss_bytes(stack)[service]
    port = stack.port_of(GATEWAY if service == GATEWAY else "voice-live")
    with redis.Redis.from_url(stack.redis_url, protocol=3) as asking:
        async with traffic(service, shape, calls, stack.redis_url, port) as flowing:
            await asyncio.sleep(_SETTLE_S)
            before = counters(stack, flowing, asking)
            await asyncio.sleep(seconds)
            after = counters(stack, flowing, asking)
            full_bytes = rss_bytes(stack)[service]
            if flowing.broken:
                raise StackError(f"{flowing.broken} sockets or streams of {service} failed; logs: {stack.folder}")
    grown = {name: value - before[name] for name, value in after.items()}
    per_call = 1 / grown["s"] / calls
    share = handled_share(service, shape, calls, grown)
    return AloneRun(
        service=service,
        shape=shape,
        calls=calls,
        cpu_ms={name: round(grown[name] * 1000 * per_call, 3) for name in (service, "redis", TRAFFIC) if name in grown},
        handled_share=round(share, 4),
        kept_up=share >= KEPT_UP,
        rss_mb_idle=round(idle_bytes / MB, 1),
        rss_mb=round(full_bytes / MB, 1),
        redis_in_bytes=round(grown["redis_in"] * per_call),
        redis_out_bytes=round(grown["redis_out"] * per_call),
    )


def counters(stack: Stack, flowing: Traffic, asking: redis.Redis) -> dict[str, float]:
    """Everything that only grows, CPU seconds by process included."""
    stats: dict[str, Any] = asking.info("stats")
    appends: dict[str, Any] = asking.info("commandstats").get("cmdstat_xadd", {})
    return {
        **cpu_s(stack),
        TRAFFIC: time.process_time(),
        "s": time.monotonic(),
        "to_streams": flowing.to_streams,
        "messages": sum(peer.messages for peer in flowing.peers),
        "bytes": sum(peer.bytes for peer in flowing.peers),
        "appends": int(appends.get("calls", 0)),
        "redis_in": int(stats["total_net_input_bytes"]),
        "redis_out": int(stats["total_net_output_bytes"]),
    }


def handled_share(service: str, shape: Shape, calls: int, grown: Mapping[str, float]) -> float:
    """`grown`: the growth of `counters`. Appends of the traffic itself are not the service's."""
    frames = FRAMES_PER_S * calls * grown["s"]
    deltas = 1000 / shape.delta_ms * calls * grown["s"]
    appended = grown["appends"] - grown["to_streams"]
    if service == GATEWAY:
        played = media_audio_ms(grown["bytes"], grown["messages"]) / shape.delta_ms
        return min(1.0, appended / frames, played / deltas)
    return min(1.0, appended / deltas, grown["messages"] / frames)


def media_audio_ms(count: float, messages: float) -> float:
    """Milliseconds of audio in so many bytes of messages on a media socket, whatever the length of each message."""
    return (count - messages * len(encode_audio(b""))) * 3 / 4 / bytes_of_ms(1, PHONE_RATE_HZ)


def one_line(run: AloneRun) -> str:
    spent = ", ".join(f"{name} {ms:.2f}" for name, ms in run.cpu_ms.items())
    kept = "" if run.kept_up else f", DID NOT KEEP UP (handled {run.handled_share:.2f})"
    return f"{run.shape}, {run.calls} calls: {spent} ms/s/call, {run.rss_mb:.0f} MB{kept}"


def table(runs: Sequence[AloneRun], stream_memory_mb: float, failures: Sequence[str] = ()) -> Table:
    columns: dict[str, Callable[[AloneRun], float | None]] = {
        "service": lambda run: run.cpu_ms[run.service],
        "redis": lambda run: run.cpu_ms.get("redis"),
        TRAFFIC: lambda run: run.cpu_ms[TRAFFIC],
        "calls per core": lambda run: 1000 / run.cpu_ms[run.service],
        "MB idle": lambda run: run.rss_mb_idle,
        "MB with calls": lambda run: run.rss_mb,
        "handled, %": lambda run: 100 * run.handled_share,
    }
    notes = [
        "CPU ms per second and call. Redis serves the appends of the traffic as well.",
        f"Full streams of one call in Redis, deltas: {stream_memory_mb:.2f} MB.",
        *(f"FAILED, without figures: {failure}" for failure in failures),
        *(f"{_label(run)}: {one_line(run)}" for run in runs if not run.kept_up),
    ]
    ordered = sorted(runs, key=lambda run: (SERVICES.index(run.service), run.shape, run.calls))
    return grouped("Each service by itself", ordered, _label, columns, notes)


def _label(run: AloneRun) -> str:
    return f"{run.service}, {run.shape}, {run.calls} calls"
