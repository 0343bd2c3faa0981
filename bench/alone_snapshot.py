"""What one service, Redis and the driver have done so far: taken twice, the difference is what was done between."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import redis

from bench.alone_driver import GATEWAY
from bench.bridges import Shape
from bench.process_time import cpu_s, waited_s
from bench.recorded import DELTA_MS, FRAMES_PER_S
from bridge_common.wire.audio import PHONE_RATE_HZ, bytes_of_ms
from lab.stack import StackError
from media_gateway.core.acs_media import encode_audio

_FRAMES: Final = "bridge_gateway_frames_total"
_ANSWER_S: Final = 15.0
_MESSAGE_BYTES: Final = 4 + len(encode_audio(b""))
"""Of a media message beside its sound: the head of the WebSocket frame and the JSON."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that only grows, at one moment."""

    at: float
    cpu_s: dict[str, float]
    waited_s: float
    """How long the service was ready to run and had no core."""
    driver: dict[str, Any]
    redis: dict[str, int]
    frames: dict[str, int]
    """Of the gateway, by direction: `in` from ACS, `out` to it."""


def shares(service: str, shape: Shape, calls: int, began: Snapshot, ended: Snapshot) -> tuple[float, float]:
    """Of the traffic that was due: how much was sent in time; and of that: how much came out at the other end."""
    grown = {name: ended.driver[name] - began.driver[name] for name in began.driver if name != "refusal"}
    due_per_s = FRAMES_PER_S if shape is Shape.ECHO else FRAMES_PER_S + 1000 / DELTA_MS[shape]
    due = due_per_s * calls * (ended.at - began.at)
    if service == GATEWAY:
        up = ended.frames["in"] - began.frames["in"]
        down = media_audio_ms(grown["arrived"], ended.frames["out"] - began.frames["out"]) / DELTA_MS[shape]
    else:
        up = grown["arrived"]
        down = ended.redis["appends"] - began.redis["appends"] - grown["appended"]
    handled = min(up / max(grown["uplink"], 1), down / max(grown["downlink"], 1))
    return min(1.0, (grown["steps"] - grown["late"]) / due), handled


def media_audio_ms(count: int, messages: int) -> float:
    """Milliseconds of sound in so many bytes of a media socket, whatever the length of each message."""
    pcm_bytes = (count - messages * _MESSAGE_BYTES) * 3 / 4
    return pcm_bytes / bytes_of_ms(1, PHONE_RATE_HZ)


def snapshot(
    service: str, pids: Mapping[str, int], driving: subprocess.Popen[str], asking: redis.Redis, page: str
) -> Snapshot:
    """`page`: where the gateway tells its counters, if it is the service. The clock is read right after the CPU times:
    they are what is divided by it.
    """
    counted = _counters(driving)
    frames = _gateway_frames(page) if page else {}
    told = _redis_counters(asking)
    spent = {name: cpu_s(pid) for name, pid in pids.items() if pid}
    return Snapshot(time.monotonic(), spent, waited_s(pids[service]), counted, told, frames)


def _counters(driving: subprocess.Popen[str]) -> dict[str, Any]:
    assert driving.stdin is not None
    assert driving.stdout is not None
    try:
        driving.stdin.write("\n")
        driving.stdin.flush()
        counters: dict[str, Any] = json.loads(driving.stdout.readline())
    except (OSError, ValueError) as error:
        raise StackError(f"the driver is gone: {error}") from error
    return counters


def _gateway_frames(address: str) -> dict[str, int]:
    with urllib.request.urlopen(address, timeout=_ANSWER_S) as page:
        return parse_frames(page.read().decode())


def parse_frames(page: str) -> dict[str, int]:
    """The gateway's counters of audio messages in its page of metrics, by direction."""
    lines = [line for line in page.splitlines() if line.startswith(f"{_FRAMES}{{")]
    return {line.split('direction="')[1].split('"')[0]: int(float(line.rsplit(" ", 1)[1])) for line in lines}


def _redis_counters(asking: redis.Redis) -> dict[str, int]:
    stats, commands = _info(asking, "stats"), _info(asking, "commandstats")
    return {
        "in": int(stats["total_net_input_bytes"]),
        "out": int(stats["total_net_output_bytes"]),
        "appends": int(commands.get("cmdstat_xadd", {}).get("calls", 0)),
    }


def used_bytes(asking: redis.Redis) -> int:
    return int(_info(asking, "memory")["used_memory_dataset"])


def _info(asking: redis.Redis, section: str) -> dict[str, Any]:
    return dict(asking.info(section))
