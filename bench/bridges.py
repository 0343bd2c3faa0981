"""The two systems under test, each with the same simulators: this bridge with Redis, and the reference bridge."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from lab.acs.settings import LAB_ACCESS_KEY
from lab.ports import free_port
from lab.stack import Ports, Stack
from lab.voice_live.settings import DEFAULT_API_KEY
from media_gateway.settings import GatewaySettings

SIMULATORS: Final = frozenset({"acs", "voice-live", "identity"})
OUR_PROCESSES: Final = ("call-control", "media-gateway", "agent-relay", "redis")
REFERENCE: Final = "reference-bridge"
PLAYOUT_LEAD_S: Final = float(GatewaySettings.model_fields["playout_lead_ms"].default) / 1000
_SPARE_CALLS: Final = 20
_ROOT: Final = Path(__file__).resolve().parents[1]

Environment = Mapping[str, Mapping[str, str]]
"""Additional environment variables by process name."""


class Bridge(StrEnum):
    OURS = "ours"
    REFERENCE = "reference"

    @property
    def lead_s(self) -> float | None:
        """Lead of the playout over real time; None if the bridge sends all audio at once."""
        return PLAYOUT_LEAD_S if self is Bridge.OURS else None


class Shape(StrEnum):
    """How the agent's speech arrives on the voice socket. The caller's audio always arrives in frames of 20 ms."""

    ECHO = "echo"
    """50 deltas of 20 ms a second."""
    DELTAS = "deltas"
    """4 deltas of 250 ms a second, as Voice Live sends them."""

    @property
    def delta_ms(self) -> int:
        return 20 if self is Shape.ECHO else 250

    @property
    def voice_live(self) -> Mapping[str, str]:
        return {"MARKS_CHUNK_MS": str(self.delta_ms)}


@dataclass(slots=True)
class ReferenceStack(Stack):
    """The processes of one run: the reference bridge and the same simulators, without Redis and identity."""

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        base_url = f"http://127.0.0.1:{port}"
        self.launch_part("voice-live")
        self.extra = merged({"acs": {"WEBHOOK_URL": f"{base_url}/api/incomingCall"}}, self.extra)
        self.launch_part("acs")
        query = "api-version=2026-07-15&model=gpt-4o"
        environment = {
            "BASE_URL": base_url,
            "ACS_ENDPOINT": f"http://127.0.0.1:{self.ports.acs}",
            "ACS_ACCESS_KEY": LAB_ACCESS_KEY,
            "VOICE_LIVE_URL": f"ws://127.0.0.1:{self.ports.voice_live}/voice-live/realtime?{query}",
            "VOICE_LIVE_API_KEY": DEFAULT_API_KEY,
            "PYTHONPATH": str(_ROOT),
        }
        self.launch(REFERENCE, [sys.executable, "-m", "bench.reference_bridge"], port, "/healthz", environment)
        self.await_ready()


def stack_of(bridge: Bridge, calls: int, folder: Path, extra: Environment) -> Stack:
    """Create a stack with capacity for the calls. It is not started yet."""
    if bridge is Bridge.REFERENCE:
        return ReferenceStack(Ports.free(), folder / bridge, extra)
    return Stack(Ports.free(), folder / bridge, merged(capacity(calls), extra))


def capacity(calls: int) -> Environment:
    limit = str(calls + _SPARE_CALLS)
    return {"agent-relay": {"RELAY_CAPACITY": limit}, "media-gateway": {"GATEWAY_CAPACITY": limit}}


def merged(first: Environment, second: Environment) -> Environment:
    return {name: {**first.get(name, {}), **second.get(name, {})} for name in {*first, *second}}
