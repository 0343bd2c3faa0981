"""What a conversation wants done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from agent_relay.core.protocol.voice_events import ClientEvent
from bridge_common.wire.entries import DownlinkEntry, TranscriptEntry


class _Wanted(msgspec.Struct, frozen=True, gc=False):
    """Made for each piece of the agent's speech, so of the kind that is made fastest."""


class Send(_Wanted, frozen=True):
    """To the voice session."""

    event: ClientEvent


class Append(_Wanted, frozen=True):
    """To the downlink."""

    entry: DownlinkEntry


class Record(_Wanted, frozen=True):
    """To the transcript."""

    entry: TranscriptEntry
    private: bool = False
    """Only for a relay that goes on with the call."""


class Ready(_Wanted, frozen=True):
    """The voice session is configured: caller audio may flow."""

    session_id: str
    conversation_id: str
    expires_at_s: int = 0
    """Unix time, 0 when not told."""
    resource: str = ""
    """Which Voice Live resource has the session."""


class MarkGreeted(_Wanted, frozen=True):
    """Note in the call's record that it is greeted, and tell the conversation whether this was the first note.

    Marked before it is spoken, so that a relay that dies between the two never greets twice.
    """


class MarkSaid(_Wanted, frozen=True):
    """Note how far the texts of others were spoken, for whoever holds the call next.

    `said` as in the call's record; `dropped`: ids of texts that are wanted no more, apart by spaces; `keep_from`: the
    entry id of the oldest piece that is still needed.
    """

    said: str
    dropped: str
    keep_from: str


class RunTool(_Wanted, frozen=True):
    call_id: str
    name: str
    arguments: str


class Abandon(_Wanted, frozen=True):
    """This voice session is of no more use: close it and win another."""

    reason: str
    retry: bool = True


class PhaseChanged(_Wanted, frozen=True):
    """Log that the voice session of the conversation entered another phase."""

    old: str
    new: str
    reason: str


class GiveUp(_Wanted, frozen=True):
    """The agent cannot be heard: open no further voice session, hand the call to human agents or the apology."""

    reason: str


class Overdue(_Wanted, frozen=True):
    """Log and count that speech owed to the caller was not heard in time, or that its response failed.

    `kind` is a `debt.Kind`, `outcome` a `debt.Missed.outcome`.
    """

    kind: str
    outcome: str
    why: str


Command: TypeAlias = (
    Send | Append | Record | Ready | MarkGreeted | MarkSaid | RunTool | Abandon | PhaseChanged | GiveUp | Overdue
)


def sends(events: Iterable[ClientEvent]) -> list[Command]:
    return [Send(event) for event in events]
