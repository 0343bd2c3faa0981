"""Benchmark of each service by itself: CPU and memory by number of calls, with a Redis and prepared traffic.

A small machine cannot run a few hundred calls together with two simulators that decode every frame.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import redis
import uvloop

from bench.bridges import Bridge, Environment, Shape, capacity, merged
from bench.calls import MB
from bench.recorded import FRAMES_PER_S, Recording, stream_mb
from bench.runs import Figures, Labels, Options, Outcome, alternate
from bench.service_traffic import GATEWAY, RELAY, Traffic, traffic
from bridge_common.wire.audio import PHONE_RATE_HZ, bytes_of_ms
from lab.redis_server import redis_server
from lab.stack import Ports, Stack, StackError, running
from lab.traffic import cpu_s, rss_bytes
from media_gateway.core.acs_media import encode_audio

SERVICES: Final = (GATEWAY, RELAY)
HANDLED: Final = "handled, %"
KEPT_UP_PCT: Final = 98.0
"""Minimum share of the traffic that the service must handle; below it, the service did not have the intended load."""
_SETTLE_S: Final = 1.5


@dataclass(slots=True)
class AloneStack(Stack):
    """The processes of one run: a service and a Redis."""

    service: str = GATEWAY

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "profiles.yaml").write_text("default:\n  greeting: null\n", encoding="utf-8")
        self._start_redis()
        self.launch_part(self.service)
        self.await_ready()

    def stop(self) -> None:
        """Kill the processes. The end of hundreds of calls is not measured."""
        for process in self.processes:
            if process.popen:
                process.popen.kill()
                process.popen.wait()


def run_alone(service: str, shape: Shape, calls: int, seconds: float, folder: Path) -> Figures:
    """Measure one service. Raises `StackError`, `NoRedisError`, `TimeoutError`."""
    folder = (folder / "alone").resolve()
    stack = AloneStack(Ports.free(), folder, merged(capacity(calls), environment(folder)), service=service)
    with running(stack), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure(stack, shape, calls, seconds))


def measure(options: Options, run_alone: Callable[[str, Shape, int, float, Path], Figures] = run_alone) -> Outcome:
    def run(labels: Labels, _: Bridge) -> Figures:
        service, shape, calls = str(labels["service"]), Shape(str(labels["shape"])), int(labels["calls"])
        return run_alone(service, shape, calls, options.seconds, options.folder)

    cases: list[Labels] = [
        {"service": service, "shape": str(shape), "calls": calls}
        for service, shape, calls in product(SERVICES, Shape, options.alone_calls)
    ]
    runs, failures = alternate(options.runs, cases, run, [Bridge.OURS])
    recording = Recording.of(Shape.DELTAS)
    with redis_server() as url, redis.Redis.from_url(url) as asking:
        stored_mb = sum(stream_mb(asking, entry) for entry in (recording.uplink, recording.downlink))
    notes = [
        f"For capacity planning a run counts if {KEPT_UP_PCT:.0f} % of the traffic was handled.",
        "Redis serves the appends of the traffic as well.",
        f"Full streams of one call in Redis, deltas: {stored_mb:.2f} MB.",
    ]
    extra = {"stream_mb": stored_mb}
    return Outcome("Each service by itself", runs, failures, notes, compared=False, extra=extra)


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


async def _measure(stack: AloneStack, shape: Shape, calls: int, seconds: float) -> Figures:
    service = stack.service
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
    cpu = {"CPU": service, "CPU of redis": "redis"}
    return {
        **{f"{name}, ms/s/call": grown[key] * 1000 * per_call for name, key in cpu.items() if key in grown},
        "calls per core": 1 / grown[service] / per_call,
        "memory, MB": full_bytes / MB,
        "Redis in, KB/s/call": grown["redis_in"] * per_call / 1000,
        "Redis out, KB/s/call": grown["redis_out"] * per_call / 1000,
        HANDLED: 100 * handled_share(service, shape, calls, grown),
    }


def counters(stack: Stack, flowing: Traffic, asking: redis.Redis) -> dict[str, float]:
    """Return monotonic counters, and CPU seconds by process."""
    stats: dict[str, Any] = asking.info("stats")
    appends: dict[str, Any] = asking.info("commandstats").get("cmdstat_xadd", {})
    return {
        **cpu_s(stack),
        "s": time.monotonic(),
        "to_streams": flowing.to_streams,
        "messages": sum(peer.messages for peer in flowing.peers),
        "bytes": sum(peer.bytes for peer in flowing.peers),
        "appends": int(appends.get("calls", 0)),
        "redis_in": int(stats["total_net_input_bytes"]),
        "redis_out": int(stats["total_net_output_bytes"]),
    }


def handled_share(service: str, shape: Shape, calls: int, grown: Mapping[str, float]) -> float:
    """Return the share of the traffic that the service handled. `grown`: the growth of `counters`. Appends of the
    traffic itself do not count.
    """
    frames = FRAMES_PER_S * calls * grown["s"]
    deltas = 1000 / shape.delta_ms * calls * grown["s"]
    appended = grown["appends"] - grown["to_streams"]
    if service == GATEWAY:
        played = media_audio_ms(grown["bytes"], grown["messages"]) / shape.delta_ms
        return min(1.0, appended / frames, played / deltas)
    return min(1.0, appended / deltas, grown["messages"] / frames)


def media_audio_ms(count: float, messages: float) -> float:
    """Return the milliseconds of audio in `count` bytes of messages on a media socket, for messages of any length."""
    return (count - messages * len(encode_audio(b""))) * 3 / 4 / bytes_of_ms(1, PHONE_RATE_HZ)
