"""What a playout means for the delay of a frame: which frames it lets leave at once, and how early all come.

The agent's speech reaches a bridge in deltas of many frames at once, and a playout passes them on a lead ahead of real
time. So most frames wait on purpose, and time from socket to socket says nothing about them. Two figures do:

**Delay of the first frame of each delta**, if a playout would let it leave at once. That is known from a playout
without any transport: a frame leaves when its delta comes, or when the sound before it ends within the lead, whichever
is later. In a stream of deltas at real time the queue has run almost dry when the next delta comes, so its first frame
leaves at once, and what is measured is the way from socket to socket as in the other shape. After a hiccup the sound is
ahead instead, and first frames wait for the lead as all others do, and for the playout's beat: those do not count here.
That they wait cannot be heard as long as the lead lasts, which is the other figure.

**Lead: how long before it sounds a frame arrives.** ACS plays in order and in real time; sound that arrives while it
still plays is appended. What is left of the lead protects the caller from a gap, and is what a barge-in throws away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

FRAME_S = 0.020


def at_once(sent: Sequence[tuple[int, float]], lead_s: float | None) -> list[tuple[int, float]]:
    """The first frames of deltas that need not wait, with a frame to spare: the playout's own clock is a little behind.

    `sent`: (seq, time at the voice socket), frames of one delta at one time; `lead_s` None: nothing ever waits.
    """
    ends_at = float("-inf")
    found: list[tuple[int, float]] = []
    for t, delta in groupby(sent, key=lambda frame: frame[1]):
        seqs = [seq for seq, _ in delta]
        if lead_s is None or ends_at - lead_s <= t - FRAME_S:
            found.append((seqs[0], t))
        ends_at = max(ends_at, t) + FRAME_S * len(seqs)
    return found


def delays_ms(
    sent: Sequence[tuple[int, float]],
    heard_at: Mapping[int, float],
    lead_s: float | None,
    window: tuple[float, float],
) -> list[tuple[float, float]]:
    """Of first frames that leave at once, sent within the window: when (monotonic s), and the time (ms) to the
    caller's socket.
    """
    return [
        (t, (heard_at[seq] - t) * 1000)
        for seq, t in at_once(sent, lead_s)
        if window[0] <= t <= window[1] and seq in heard_at
    ]


@dataclass(slots=True)
class Lead:
    """Of the frames of many calls."""

    ms: list[float] = field(default_factory=list)
    gaps: int = 0
    """How often the sound ran dry."""

    def add(self, heard_at: Iterable[float], window: tuple[float, float]) -> None:
        """One call's frames, by their time of arrival."""
        ends_at = float("-inf")
        for t in sorted(heard_at):
            within = window[0] <= t <= window[1]
            if within:
                self.ms.append(max(0.0, ends_at - t) * 1000)
                self.gaps += t > ends_at
            ends_at = max(ends_at, t) + FRAME_S
