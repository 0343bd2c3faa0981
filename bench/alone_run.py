"""One service by itself under recorded traffic, and what it and Redis spent on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

import redis

from bench.alone_driver import GATEWAY, READY, READY_S, RELAY, Job
from bench.alone_snapshot import shares, snapshot, used_bytes
from bench.bridges import Environment, Shape
from bench.core_speed import SpeedWatch
from bench.process_time import rss_bytes
from lab.stack import MEDIA_TOKEN_KEY, Ports, Stack, StackError, running

SERVICES: Final = (GATEWAY, RELAY)
DRIVER: Final = "driver"
KEPT_UP: Final = 0.98
"""At least this share of the traffic has to be sent in time and handled; otherwise the figures are of another load."""
_SETTLE_S: Final = 1.5
_ROOM: Final = 20
_MB: Final = 2**20
_WITHOUT_GREETING: Final = "default:\n  greeting: null\n"
_ROOT: Final = Path(__file__).resolve().parents[1]


@dataclass(slots=True)
class AloneStack(Stack):
    """A Redis and one service."""

    service: str = GATEWAY

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "profiles.yaml").write_text(_WITHOUT_GREETING, encoding="utf-8")
        self._start_redis()
        self.launch_part(self.service)
        self.await_ready()

    def stop(self) -> None:
        """At once: hundreds of calls that are told goodbye one by one are no part of the measurement."""
        for process in self.processes:
            if process.popen:
                process.popen.kill()
                process.popen.wait()

    def pid(self, name: str) -> int:
        """0 for a Redis that is not ours."""
        return next((process.pid for process in self.processes if process.name == name), 0)


def environment(calls: int, folder: Path) -> Environment:
    capacity = str(calls + _ROOM)
    return {
        GATEWAY: {
            "ACS_JWT_MODE": "off",
            "ALLOW_INSECURE": "known-keys,unchecked-tokens",
            "GATEWAY_CAPACITY": capacity,
            "DRAIN_TIMEOUT_S": "0",
        },
        RELAY: {
            "DRAIN_TIMEOUT_S": "0",
            "RELAY_CAPACITY": capacity,
            "AGENT_NAME": "",
            "AGENT_PROJECT_NAME": "",
            "VOICE_LIVE_MODEL": "recorded",
            "AZURE_VOICE_LIVE_API_KEY": "recorded",
            "VOICE_LIVE_CONNECTIONS_PER_MIN": "0",
            "AGENT_PROFILES_FILE": str(folder / "profiles.yaml"),
        },
    }


@dataclass(frozen=True, slots=True)
class AloneRun:
    service: str
    shape: Shape
    calls: int
    seconds: float
    cpu_ms: dict[str, float]
    """CPU ms per second and call: of the service, of Redis, of the driver, while the cores ran at their speed."""
    sent_share: float
    """Of the traffic that should have been sent, and not more than 5 ms late."""
    handled_share: float
    """Of the traffic that was sent, in the direction that fared worse."""
    waited_share: float
    """Of the time: how much the service was ready to run while something else had the core."""
    rss_mb: float
    rss_mb_idle: float
    redis_mb: float
    """Growth of Redis's data with the calls."""
    redis_in_bytes: float
    """A second and call, into Redis."""
    redis_out_bytes: float
    load_average: float
    slowed_share: float
    """Of the time, see `core_speed`."""

    @property
    def kept_up(self) -> bool:
        """What was late may be as much as fell into the time that does not count."""
        return min(self.sent_share + self.slowed_share, self.handled_share) >= KEPT_UP


def run_alone(service: str, shape: Shape, calls: int, seconds: float, folder: Path) -> AloneRun:
    """Raises `StackError`, `NoRedisError`."""
    folder = (folder / "alone").resolve()
    stack = AloneStack(Ports.free(), folder, environment(calls, folder), service=service)
    with running(stack), redis.Redis.from_url(stack.redis_url, protocol=3) as asking:
        idle_mb, empty_bytes = rss_bytes(stack.pid(service)) / _MB, used_bytes(asking)
        with driver(stack, shape, calls) as driving:
            pids = {service: stack.pid(service), "redis": stack.pid("redis"), DRIVER: driving.pid}
            page = f"{stack.url(GATEWAY)}/metrics" if service == GATEWAY else ""
            seen = partial(snapshot, service, pids, driving, asking, page)
            time.sleep(_SETTLE_S)
            with SpeedWatch({name: pid for name, pid in pids.items() if pid}) as watch:
                began = seen()
                time.sleep(seconds)
                ended = seen()
            rss_mb, full_bytes = rss_bytes(stack.pid(service)) / _MB, used_bytes(asking)
    if ended.driver["lost"] or ended.driver["refusal"]:
        raise StackError(f"{service} alone: {ended.driver}; logs: {folder}")
    passed_s = ended.at - began.at
    sent_share, handled_share = shares(service, shape, calls, began, ended)
    per_call = 1 / passed_s / calls
    used_in_all = {name: (ended.cpu_s[name] - began.cpu_s[name]) / passed_s for name in began.cpu_s}
    return AloneRun(
        service=service,
        shape=shape,
        calls=calls,
        seconds=round(passed_s, 1),
        cpu_ms={name: round(s * 1000 / calls, 3) for name, s in (watch.used_per_s() or used_in_all).items()},
        sent_share=round(sent_share, 4),
        handled_share=round(handled_share, 4),
        waited_share=round((ended.waited_s - began.waited_s) / passed_s, 3),
        rss_mb=round(rss_mb, 1),
        rss_mb_idle=round(idle_mb, 1),
        redis_mb=round((full_bytes - empty_bytes) / _MB, 1),
        redis_in_bytes=round((ended.redis["in"] - began.redis["in"]) * per_call),
        redis_out_bytes=round((ended.redis["out"] - began.redis["out"]) * per_call),
        load_average=round(os.getloadavg()[0], 2),
        slowed_share=round(watch.slowed.pct((began.at, ended.at)) / 100, 3),
    )


@contextmanager
def driver(stack: AloneStack, shape: Shape, calls: int) -> Iterator[subprocess.Popen[str]]:
    """The driver, with all calls flowing. Raises `StackError`."""
    port = stack.ports.media_gateway if stack.service == GATEWAY else stack.ports.voice_live
    job = Job(stack.service, shape, calls, stack.redis_url, port, MEDIA_TOKEN_KEY)
    log_path = stack.folder / "driver.log"
    with (
        log_path.open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "bench.alone_driver", json.dumps(asdict(job))],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            if process.stdout.readline().strip() != READY:
                last = log_path.read_text(errors="replace").splitlines()[-1:]
                raise StackError(f"the driver of {stack.service} did not start in {READY_S:.0f} s: {last} ({log_path})")
            yield process
        finally:
            process.kill()
