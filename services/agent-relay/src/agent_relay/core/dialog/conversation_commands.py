"""Commands that a conversation returns to the relay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from agent_relay.core.dialog.typed_digits import TypedDigits
from agent_relay.core.protocol.voice_events import ClientEvent
from bridge_common.wire.entries import DownlinkEntry, Notice, TranscriptEntry


class _Command(msgspec.Struct, frozen=True, gc=False):
    """Base class of the commands. A struct rather than a dataclass, because one is created for each audio delta and
    structs are created fastest.
    """


class Send(_Command, frozen=True):
    """Send an event to the voice session."""

    event: ClientEvent


class Append(_Command, frozen=True):
    """Append an entry to the downlink."""

    entry: DownlinkEntry


class Record(_Command, frozen=True):
    """Add an entry to the transcript."""

    entry: TranscriptEntry
    private: bool = False
    """Whether the entry is only for the next relay of the call, not for readers of the transcript."""


class Ready(_Command, frozen=True):
    """Store the ids of the configured voice session, and let caller audio flow to it."""

    session_id: str
    conversation_id: str
    expires_at_s: int = 0
    """Unix time in seconds, 0 if the service did not report it."""
    resource: str = ""
    """The Voice Live resource (host) of the session."""
    functions: tuple[str, ...] | None = None
    """Names of the function tools of the session, None if the service did not report them."""


class MarkGreeted(_Command, frozen=True):
    """Mark the call as greeted in its record, and report to the conversation whether it was unmarked before.

    The mark is set before the greeting is spoken, so that the caller is never greeted twice if the relay dies between
    the two.
    """


class MarkSaid(_Command, frozen=True):
    """Record how far the announcements were spoken, for the next relay of the call.

    `said`: progress, as in the call's record. `dropped`: ids of announcements that are no longer wanted, separated by
    spaces. `keep_from`: entry id of the oldest piece that is still needed.
    """

    said: str
    dropped: str
    keep_from: str


class RunTool(_Command, frozen=True):
    call_id: str
    name: str
    arguments: str
    typed: TypedDigits | None = None


class RequestAction(_Command, frozen=True):
    """Request an action of the call from call-control (`entries.Act`)."""

    action_id: str
    action: str
    arguments: str
    by: str


class ReportGoodbye(_Command, frozen=True):
    """Report how the words before a hang-up or a transfer ended (`entries.GoodbyeOver`)."""

    action_id: str
    outcome: str


class ReportScreening(_Command, frozen=True):
    """Report whether the person who answered takes the call (`entries.ScreeningOver`)."""

    action_id: str
    outcome: str


class Abandon(_Command, frozen=True):
    """Close this voice session, which is no longer usable, and open another if `retry`."""

    reason: str
    retry: bool = True


class PhaseChanged(_Command, frozen=True):
    """Log that the voice session of the conversation entered another phase."""

    old: str
    new: str
    reason: str


class GiveUp(_Command, frozen=True):
    """Give up the agent, because it cannot be heard: open no further voice session. call-control then transfers the
    call to human agents or plays the apology.
    """

    reason: str


class Overdue(_Command, frozen=True):
    """Log and count an agent response that was not heard in time or that failed.

    `kind`: what the response answers (`debt.DebtKind`). `outcome`: the next step (`debt.Missed.outcome`).
    """

    kind: str
    outcome: str
    why: str


Command: TypeAlias = (
    Send
    | Append
    | Record
    | Ready
    | MarkGreeted
    | MarkSaid
    | RunTool
    | RequestAction
    | ReportGoodbye
    | ReportScreening
    | Abandon
    | PhaseChanged
    | GiveUp
    | Overdue
)


def sends(events: Iterable[ClientEvent]) -> list[Command]:
    return [Send(event) for event in events]


@dataclass(frozen=True, slots=True)
class WallClock:
    """Converts the monotonic seconds of a conversation to the Unix time of its transcript."""

    offset_s: float = 0.0

    def unix_ms(self, now: float) -> int:
        return int((now + self.offset_s) * 1000)

    def monotonic(self, unix_ms: int) -> float:
        return unix_ms / 1000 - self.offset_s

    def notice(self, what: str, detail: str, now: float, *, private: bool = False) -> Record:
        return Record(Notice(what, detail, self.unix_ms(now)), private)
