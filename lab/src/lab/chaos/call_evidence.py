"""The outcome of one call with numbered frames (marks), from the records of both simulators: whether it continued, the
longest gap, and frames that were lost, repeated, out of order, of another call or of a replaced voice session. No I/O.

The simulated Voice Live numbers the marks of a call across its sessions, so a mark identifies the session that sent it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

FRAME_MS: Final = 20
GOES_ON_S: Final = 1.0
"""A direction counts as continued if a frame arrived within this time before the end of the observation."""
SETTLED_S: Final = 0.5
"""Marks sent within this time before the end of the observation may still be in transit."""
_FOREVER: Final = float("inf")

Sent = Sequence[tuple[int, float]]
"""Sent marks: (seq, monotonic seconds of the write to the socket)."""
Heard = Sequence[tuple[int, int, float]]
"""Heard marks: (call, seq, monotonic seconds of the arrival), in the order of arrival."""


@dataclass(frozen=True, slots=True)
class SeenVoiceSession:
    """One session of the call at the simulated Voice Live. `opened_at` is the arrival of the call's first audio."""

    opened_at: float
    closed_at: float
    sent: Sent
    heard: Heard
    conversation_id: str = ""
    muted_at: float = float("inf")
    """From this time on the session did not respond. Later audio counts as not heard."""


@dataclass(frozen=True, slots=True)
class SeenMediaSocket:
    """A period without a media socket: from its loss until the next one was open.

    `dialed_at`: start of ACS's last dial, the successful one if any. `reported_at`: when ACS first posted a callback
    about the loss, infinite if never. `refused`: number of refused dials.
    """

    lost_at: float
    dialed_at: float
    open_at: float
    reported_at: float = float("inf")
    refused: int = 0


@dataclass(frozen=True, slots=True)
class CallEvidence:
    number: int
    connected: bool
    """True if the call was still connected at the end of the observation."""
    sent: Sent
    """Marks that the caller sent."""
    heard: Heard
    """Marks that the caller heard."""
    sessions: Sequence[SeenVoiceSession]
    """Voice sessions, ordered by `opened_at`."""
    breaks: Sequence[SeenMediaSocket] = ()


@dataclass(frozen=True, slots=True)
class DirectionTrace:
    """One direction of one call. `gap_ms` is the longest time without a frame. `own_gap_ms` excludes the time until ACS
    begins its last dial, because ACS alone decides when to dial again (`refused_dials` counts the refused dials).
    """

    went_on: bool
    gap_ms: float
    own_gap_ms: float
    gap_at_s: float
    """Start of the gap in seconds since the start of the observation."""
    sent: int
    lost: int
    repeated: int
    disordered: int
    foreign: int
    stale: int
    """Number of marks of a session that were heard after marks of a newer session."""
    delays_ms: Sequence[float] = field(repr=False)
    late_ms: float = 0.0
    """Median delay of the marks heard in the last second. Near 0 if audio is in real time again."""
    after_dial_ms: float | None = None
    """Time from the opening of the new media socket to the first frame."""
    after_report_ms: float | None = None
    """Longest time from ACS's callback about a lost media socket to the first frame."""


@dataclass(frozen=True, slots=True)
class CallOutcome:
    number: int
    uplink: DirectionTrace
    downlink: DirectionTrace
    sessions: int
    connected: bool
    conversations: int = 1
    """Number of distinct conversations in Voice Live."""
    refused_dials: int = 0
    """Number of refused dials after the loss of a media socket."""

    @property
    def went_on(self) -> bool:
        return self.connected and self.uplink.went_on and self.downlink.went_on


def outcome(trace: CallEvidence, began: float, ended: float) -> CallOutcome:
    """Return the outcome of the call between `began` and `ended`, in monotonic seconds."""
    answered = (mark for session in trace.sessions for mark in session.heard if mark[2] <= session.muted_at)
    up_heard = sorted(answered, key=lambda mark: mark[2])
    down_sent = [mark for session in trace.sessions for mark in session.sent]
    sender = {seq: index for index, session in enumerate(trace.sessions) for seq, _ in session.sent}
    uplink = _direction(trace, trace.sent, up_heard, began, ended, {})
    downlink = _direction(trace, down_sent, trace.heard, began, ended, sender)
    met = sum(1 for session in trace.sessions if session.closed_at >= began and session.opened_at <= ended)
    conversations = len({session.conversation_id for session in trace.sessions})
    refused = sum(one.refused for one in trace.breaks if began <= one.lost_at <= ended)
    return CallOutcome(trace.number, uplink, downlink, met, trace.connected, conversations, refused)


def _direction(
    trace: CallEvidence, sent: Sent, heard: Heard, began: float, ended: float, sender: dict[int, int]
) -> DirectionTrace:
    own = [(seq, t) for call, seq, t in heard if call == trace.number]
    arrivals = [t for _, t in own if began <= t <= ended]
    silences = list(pairwise([began, *arrivals, ended]))
    gap = max(silences, key=_length)
    own_gap = max(_length(silence) - _dialing(silence, trace.breaks) for silence in silences)
    first_heard = dict(reversed(own))
    late_s = _late_s(sent, own, ended)
    # Marks that are still queued after an outage have the delay of the last heard ones; they are not lost.
    sent_at = {seq: t for seq, t in sent if began <= t <= ended - SETTLED_S - late_s}
    newest_session = [sender.get(seq, -1) for seq, _ in own]
    delays = [(first_heard[seq] - t) * 1000 for seq, t in sent_at.items() if seq in first_heard]
    return DirectionTrace(
        went_on=bool(arrivals) and arrivals[-1] > ended - GOES_ON_S,
        gap_ms=_ms(_length(gap)),
        own_gap_ms=_ms(own_gap),
        gap_at_s=gap[0] - began,
        sent=len(sent_at),
        lost=sum(1 for seq in sent_at if seq not in first_heard),
        repeated=_repeated(own, began),
        disordered=_backward([seq for seq, t in own if t >= began]) - _stale(newest_session),
        foreign=len(heard) - len(own),
        stale=_stale(newest_session),
        delays_ms=delays,
        late_ms=late_s * 1000,
        after_dial_ms=_after_dial(arrivals, trace.breaks, began, ended),
        after_report_ms=_after_report(arrivals, trace.breaks, began, ended),
    )


def _late_s(sent: Sent, own: Iterable[tuple[int, float]], ended: float) -> float:
    sent_at = dict(sent)
    last = sorted(t - sent_at[seq] for seq, t in own if seq in sent_at and ended - GOES_ON_S < t <= ended)
    return last[len(last) // 2] if last else 0.0


def _repeated(own: Iterable[tuple[int, float]], began: float) -> int:
    """Return the number of marks after `began` that had been heard before, at any time."""
    known: set[int] = set()
    count = 0
    for seq, t in own:
        count += seq in known and t >= began
        known.add(seq)
    return count


def _length(silence: tuple[float, float]) -> float:
    return silence[1] - silence[0]


def _ms(silence_s: float) -> float:
    """Convert a gap to ms, minus the regular 20 ms between two frames."""
    return max(silence_s * 1000 - FRAME_MS, 0.0)


def _dialing(silence: tuple[float, float], breaks: Iterable[SeenMediaSocket]) -> float:
    """Return the part of the gap that precedes ACS's last dial."""
    return sum(max(0.0, min(silence[1], one.dialed_at) - max(silence[0], one.lost_at)) for one in breaks)


def _backward(numbers: Sequence[int]) -> int:
    """Return the number of marks that arrived after a mark with a higher number."""
    newest, count = -1, 0
    for number in numbers:
        count += number < newest
        newest = max(newest, number)
    return count


def _stale(sessions: Sequence[int]) -> int:
    return _backward([session for session in sessions if session >= 0])


def _after_dial(
    arrivals: Sequence[float], breaks: Sequence[SeenMediaSocket], began: float, ended: float
) -> float | None:
    opened = [one.open_at for one in breaks if began <= one.lost_at and one.open_at <= ended]
    if not opened:
        return None
    after = next((t for t in arrivals if t >= opened[-1]), _FOREVER)
    return (min(after, ended) - opened[-1]) * 1000


def _after_report(
    arrivals: Sequence[float], breaks: Sequence[SeenMediaSocket], began: float, ended: float
) -> float | None:
    reports = [one.reported_at for one in breaks if began <= one.reported_at <= ended]
    waits = [next((t for t in arrivals if t >= at), ended) - at for at in reports]
    return max(waits) * 1000 if waits else None
