"""Figures that a simulation counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields


@dataclass(slots=True)
class Counts:
    offered: int = 0
    diverted: Counter[str] = field(default_factory=Counter)
    """Calls that were not answered, by end reason."""
    lost: Counter[str] = field(default_factory=Counter)
    """Connected calls that were given up, by reason."""
    handed_over: int = 0
    released: int = 0
    """Calls that a draining relay still had at the end of its drain time."""
    moved_sockets: int = 0
    """Media sockets that ACS had to open again."""
    silences_s: list[float] = field(default_factory=list)
    """Times without a voice session, of calls whose relay had died or released them."""
    drains_s: list[float] = field(default_factory=list)
    """Durations of the drains of relays."""
    most_calls: int = 0

    def clear(self) -> None:
        for one in fields(self):
            setattr(self, one.name, type(getattr(self, one.name))())

    def add(self, other: Counts) -> None:
        """Add the calls of another cell."""
        self.offered += other.offered
        self.diverted += other.diverted
        self.lost += other.lost
        self.handed_over += other.handed_over
        self.released += other.released
        self.moved_sockets += other.moved_sockets
        self.silences_s += other.silences_s
        self.drains_s += other.drains_s
        self.most_calls += other.most_calls

    @property
    def diverted_share(self) -> float:
        return self.diverted.total() / self.offered if self.offered else 0.0
