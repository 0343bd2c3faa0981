"""What a conversation wants done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from agent_relay.core.voice_live import ClientEvent
from bridge_common.entries import DownlinkEntry, TranscriptEntry


@dataclass(frozen=True, slots=True)
class Send:
    """To the voice session."""

    event: ClientEvent


@dataclass(frozen=True, slots=True)
class Append:
    """To the downlink."""

    entry: DownlinkEntry


@dataclass(frozen=True, slots=True)
class Record:
    """To the transcript."""

    entry: TranscriptEntry


@dataclass(frozen=True, slots=True)
class Ready:
    """The voice session is configured: caller audio may flow."""

    session_id: str
    conversation_id: str
    expires_at_s: int = 0
    """Unix time, 0 when not told."""
    resource: str = ""
    """Which Voice Live resource has the session."""


@dataclass(frozen=True, slots=True)
class MarkGreeted:
    """Note in the call's record that it is greeted, and tell the conversation whether this was the first note.

    Marked before it is spoken, so that a relay that dies between the two never greets twice.
    """


@dataclass(frozen=True, slots=True)
class MarkSaid:
    """Note how far the texts of others were spoken, for whoever holds the call next.

    `said` as in the call's record; `dropped`: ids of texts that are wanted no more, apart by spaces; `keep_from`: the
    entry id of the oldest piece that is still needed.
    """

    said: str
    dropped: str
    keep_from: str


@dataclass(frozen=True, slots=True)
class RunTool:
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Abandon:
    """This voice session is of no more use: close it and win another."""

    reason: str
    retry: bool = True


Command: TypeAlias = Send | Append | Record | Ready | MarkGreeted | MarkSaid | RunTool | Abandon
