"""The plan of a fleet: the number of its processes, their settings and files. No I/O, except reading the manifests of
`k8s/base`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lab.chaos.pacing import pacing_of

RELAY: Final = "agent-relay"
GATEWAY: Final = "media-gateway"
CONTROL: Final = "call-control"
PROFILES: Final = "profiles.yaml"
ROUTING: Final = "routing.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    relays: int = 3
    gateways: int = 2
    controls: int = 2
    sentinel: bool = False
    """Redis runs as a primary with a replica and three sentinels."""
    relay_links: bool = False
    """Each relay connects to Redis through its own link, which can be cut."""
    extra: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Environment variables by service or simulator, e.g. {"agent-relay": {"RELAY_CAPACITY": "2"}}."""
    scripts: Path | None = None
    """Folder with the programs of the services, if they are those of another release."""
    profiles: str = ""
    """Content of AGENT_PROFILES_FILE. `BUSINESS` in it becomes the address of the simulated business, which then runs
    too.
    """
    routing: str = ""
    """Content of ROUTING_POLICY."""

    scale: float | None = None
    """Factor by which all times of `k8s/base` are multiplied; DRAIN_TIMEOUT_S is then set from there. None: the
    manifests do not apply.
    """

    @property
    def business(self) -> bool:
        return "BUSINESS" in self.profiles

    def counts(self) -> dict[str, int]:
        """Return the number of replicas of each service, in the order of their start."""
        return {CONTROL: self.controls, GATEWAY: self.gateways, RELAY: self.relays}

    def replicas(self) -> Iterator[str]:
        for kind, count in self.counts().items():
            yield from (f"{kind}-{number}" for number in range(1, count + 1))


def with_files(plan: FleetPlan, folder: Path) -> Mapping[str, Mapping[str, str]]:
    """Return the environment variables of the plan with those that name its files in `folder`."""
    named: dict[str, dict[str, str]] = {}
    if plan.profiles:
        named[RELAY] = {"AGENT_PROFILES_FILE": str(folder.absolute() / PROFILES), "TOOL_PRIVATE_HOSTS": "127.0.0.1"}
        named["business"] = {"JOURNAL": str(folder.absolute() / "appointments.jsonl")}
    if plan.routing:
        named[CONTROL] = {"ROUTING_POLICY": str(folder.absolute() / ROUTING)}
    if plan.scale is not None:
        for kind in plan.counts():
            timeout_s = pacing_of(kind, plan.scale).drain_timeout_s
            named[kind] = {**named.get(kind, {}), "DRAIN_TIMEOUT_S": f"{timeout_s:g}"}
    return {name: {**named.get(name, {}), **plan.extra.get(name, {})} for name in {*named, *plan.extra}}


def kind_of(name: str) -> str:
    """Return the service of a replica: `agent-relay` for `agent-relay-2`."""
    kind, _, number = name.rpartition("-")
    return kind if number.isdigit() else name
