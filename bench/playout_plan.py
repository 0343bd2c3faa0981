"""What a playout means for the delay of a frame: when it was planned to leave, and how early it came to be heard.

The agent's speech reaches a bridge in deltas of many frames at once, and a playout passes them on a lead ahead of real
time. So most frames wait on purpose, and time from socket to socket says nothing about them. Two figures do:

**Delay of the first frame of each delta, less the plan.** The plan is a playout without any transport: a frame leaves
when its delta comes, or when the sound before it ends within the lead, whichever is later. In a stream of deltas at
real time the queue has run almost dry when the next delta comes, so its first frame is planned to leave at once, and
what is measured is the way from socket to socket as in the other shape. The frames behind the lead leave on the
playout's beat: their lateness cannot be heard as long as the lead lasts, and is seen in the other figure.

**Lead: how long before it sounds a frame arrives.** ACS plays in order and in real time; sound that arrives while it
still plays is appended. What is left of the lead protects the caller from a gap, and is what a barge-in throws away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

FRAME_S = 0.020


def planned(sent: Iterable[tuple[int, float]], lead_s: float | None) -> dict[int, float]:
    """When each frame is to leave. `sent`: (seq, time at the voice socket), frames of one delta at one time;
    `lead_s` None: everything is sent on at once."""
    ends_at = float("-inf")
    plan: dict[int, float] = {}
    for seq, t in sent:
        at = t if lead_s is None else max(t, ends_at - lead_s)
        ends_at = max(ends_at, at) + FRAME_S
        plan[seq] = at
    return plan


def first_frames(sent: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """The first frame of each delta."""
    return [next(delta) for _, delta in groupby(sent, key=lambda frame: frame[1])]


def delays_ms(
    sent: Sequence[tuple[int, float]],
    heard_at: Mapping[int, float],
    lead_s: float | None,
    window: tuple[float, float],
) -> list[float]:
    """Of the first frames of deltas that were sent within the window: time to the caller's socket, less the plan."""
    plan = planned(sent, lead_s)
    return [
        (heard_at[seq] - plan[seq]) * 1000
        for seq, t in first_frames(sent)
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
