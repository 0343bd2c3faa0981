"""Computes loss, repetition, reordering, crosstalk and delay from sent and heard marks. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(slots=True)
class Direction:
    """One direction of many calls. Delays are in ms, from the socket of the sender to the socket of the receiver."""

    sent: int = 0
    lost: int = 0
    repeated: int = 0
    disordered: int = 0
    foreign: int = 0
    """Number of heard marks that belong to another call (crosstalk)."""
    delays_ms: list[float] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return self.sent > 0 and self.lost == self.repeated == self.disordered == self.foreign == 0

    def add(
        self,
        call: int,
        sent: Iterable[tuple[int, float]],
        heard: Sequence[tuple[int, int, float]],
        window: tuple[float, float],
    ) -> None:
        """Count the marks of one call that were sent within `window` (monotonic seconds).

        `sent`: (seq, time); `heard`: (call, seq, time) in order of arrival.
        """
        sent_at = {seq: t for seq, t in sent if window[0] <= t <= window[1]}
        own = [(seq, t) for number, seq, t in heard if number == call]
        times = dict(reversed(own))
        counts = Counter(seq for seq, _ in own)
        self.sent += len(sent_at)
        self.lost += sum(1 for seq in sent_at if seq not in times)
        self.repeated += sum(counts[seq] - 1 for seq in sent_at if counts[seq] > 1)
        self.disordered += sum(1 for (a, _), (b, _) in pairwise(own) if b < a and b in sent_at)
        self.foreign += len(heard) - len(own)
        self.delays_ms += [(times[seq] - t) * 1000 for seq, t in sent_at.items() if seq in times]

    def percentile(self, share: float) -> float:
        """Return the delay percentile in ms, 0 without frames. `share`: 0.99 for p99."""
        return percentile(self.delays_ms, share)

    def as_row(self) -> dict[str, float | int]:
        return {
            "sent": self.sent,
            "lost": self.lost,
            "repeated": self.repeated,
            "disordered": self.disordered,
            "foreign": self.foreign,
            "p50_ms": round(self.percentile(0.5), 2),
            "p95_ms": round(self.percentile(0.95), 2),
            "p99_ms": round(self.percentile(0.99), 2),
            "max_ms": round(max(self.delays_ms, default=0.0), 2),
        }


def percentile(values: Iterable[float], share: float) -> float:
    """Return a percentile of the values, 0 without values. `share`: 0.99 for p99."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
