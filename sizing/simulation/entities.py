"""Pods and calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from sizing.simulation.nodes import Node


class State(Enum):
    PENDING = "pending"
    READY = "ready"
    TERMINATING = "terminating"
    """It gets no new work, and drains."""
    LOST = "lost"
    """Its node is dead. Kubernetes counts it as a replica until it is evicted."""
    GONE = "gone"


@dataclass(eq=False, slots=True)
class Pod:
    number: int
    version: int
    state: State = State.PENDING
    node: Node | None = None
    ready_at: float = 0.0
    calls: dict[Call, None] = field(default_factory=dict)
    """Calls that use the pod, in order of arrival."""


class Phase(Enum):
    RINGING = "ringing"
    CONNECTED = "connected"
    OVER = "over"


@dataclass(eq=False, slots=True)
class Call:
    arrived_at: float
    talks_s: float
    """Duration from the answer to the end."""
    phase: Phase = Phase.RINGING
    relay: Pod | None = None
    gateway: Pod | None = None
    resource: int | None = None
    """Index of the Voice Live resource of its session; None while it has no session."""
    attempt: int = 0
    """Number of its latest attempt to get a session; results of earlier ones are ignored."""
    silent_since: float | None = None
    """When a connected call lost its session."""
    next_relay: Pod | None = None
    """The next owner, while the call is handed over."""
