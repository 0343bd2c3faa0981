"""Delay of the downlink with a playout: only frames that the playout may send immediately show the transport delay.

The agent's speech arrives in deltas of many frames. A playout sends them up to its lead ahead of real time, so most
frames wait on purpose. The first frame of a delta does not wait unless the audio before it extends beyond the lead. The
send times at the voice socket determine these frames, independently of the bridge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

from lab.acs.media_codec import FRAME_MS

FRAME_S: Final = FRAME_MS / 1000

Window = tuple[float, float]
"""Begin and end in monotonic seconds."""


def sent_at_once(sent: Sequence[tuple[int, float]], lead_s: float | None) -> list[tuple[int, float]]:
    """Return the first frames of deltas that need not wait, with one frame of tolerance for the playout's own clock.

    `sent`: (sequence number, time at the voice socket); frames of one delta have the same time. `lead_s` None: no
    playout, nothing waits.
    """
    ends_at = float("-inf")
    found: list[tuple[int, float]] = []
    for t, delta in groupby(sent, key=lambda frame: frame[1]):
        numbers = [number for number, _ in delta]
        if lead_s is None or ends_at - lead_s <= t - FRAME_S:
            found.append((numbers[0], t))
        ends_at = max(ends_at, t) + FRAME_S * len(numbers)
    return found


def delays_ms(
    sent: Sequence[tuple[int, float]], heard_at: Mapping[int, float], lead_s: float | None, window: Window
) -> list[float]:
    """Return the delays from the voice socket to the media socket, of the frames of `sent_at_once` that were sent
    within the window.
    """
    return [
        (heard_at[number] - t) * 1000
        for number, t in sent_at_once(sent, lead_s)
        if window[0] <= t <= window[1] and number in heard_at
    ]


def underruns(heard_at: Iterable[float], window: Window) -> int:
    """Return how often a call's audio was interrupted: frames that arrived after all earlier audio had been played."""
    ends_at, count = float("-inf"), 0
    for t in sorted(heard_at):
        count += t > ends_at and window[0] <= t <= window[1]
        ends_at = max(ends_at, t) + FRAME_S
    return count
