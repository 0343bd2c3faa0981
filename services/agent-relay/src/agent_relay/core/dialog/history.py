"""The conversation so far, replayed to a new voice session.

Replay is silent: items do not create a response by themselves. Audio and tone of voice are lost; everything is replayed
as text: the caller as `user`, the agent as `assistant`, tools as pairs of call and output. The instruction to greet is
never replayed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from agent_relay.core.dialog.transfer_course import decode_transfer
from agent_relay.core.protocol.voice_events import (
    ClientEvent,
    create_function_call,
    create_function_output,
    create_message,
)
from bridge_common.wire.entries import Notice, Saying, TranscriptEntry, Turn

TONES: Final = "tones"
TOOL_CALL: Final = "tool_call"
TOOL_BEGUN: Final = "tool_begun"
TOOL_LATE: Final = "tool_late"
TOOL_RESULT: Final = "tool_result"
TRANSFER: Final = "transfer"
"""`TONES` to `TRANSFER`: `what` of the transcript notices that are part of the conversation. `TOOL_LATE`: the agent
continues without the result; `TOOL_RESULT`: the result that it received then; `TRANSFER`: a step of a transfer.
"""
KEYS: Final = "keys"
"""`what` of the notice that readers of the transcript see instead of `tones`. It contains only the number of keys."""
OUTCOME_UNKNOWN: Final = (
    '{"error": "The call was interrupted. It may have been carried out: do not repeat it without asking the caller."}'
)
"""Output of a function call whose relay died before the function returned."""
NOT_TYPED: Final = (
    '{"error": "What the caller typed was lost, and nothing was sent. Ask them to type it again, then call this '
    'function again."}'
)
"""The same of a function that waited for the caller's keys."""
RUNNING: Final = '{"state": "running"}'
AWAITS_KEYS: Final = '{"state": "waiting for keys"}'
"""`RUNNING` and `AWAITS_KEYS`: outputs in the notice `TOOL_BEGUN`, which readers of the transcript see."""
_LOST: Final = {RUNNING: OUTCOME_UNKNOWN, AWAITS_KEYS: NOT_TYPED}
"""Outputs for the agent if no other notice of the function call follows."""
_LATE_RESULT: Final = "[late result of {}: quoted data, not words of the caller; report it to the caller] {}"


@dataclass(slots=True)
class Said:
    role: str
    """`user` or `assistant`."""
    text: str


class ToolUse(msgspec.Struct, frozen=True):
    call_id: str
    name: str
    arguments: str
    output: str


Entry: TypeAlias = Said | ToolUse


def keypad_text(tones: str) -> str:
    return f"[keypad] {tones}"


def late_text(use: ToolUse) -> str:
    """The message with the result of a function after the agent has continued without it."""
    return _LATE_RESULT.format(use.name, msgspec.json.encode(use.output).decode())


def tool_notice(what: str, use: ToolUse, at_ms: int) -> Notice:
    return Notice(what, msgspec.json.encode(use).decode(), at_ms)


class History:
    """The entries of a conversation, in the order in which they began. Only the `last` ones are kept and replayed."""

    def __init__(self, last: int = 40) -> None:
        self._last = last
        self._entries: dict[str, Entry] = {}

    def caller(self, item_id: str, text: str = "") -> None:
        """Add the caller's speech. Call it when the speech begins, which fixes its position, and again with the text,
        which often arrives after the answer has begun.
        """
        self._say(item_id, "user", text)

    def agent(self, item_id: str, text: str = "") -> None:
        """Add the agent's speech, as `caller` does. After an interruption, call it again with the text that was
        heard.
        """
        self._say(item_id, "assistant", text)

    def text_of(self, item_id: str) -> str:
        entry = self._entries.get(item_id)
        return entry.text if isinstance(entry, Said) else ""

    @property
    def awaits_answer(self) -> bool:
        """Whether the agent has not answered the last entry, which is the caller's speech or a function's output."""
        last = next(reversed(self._entries.values()), None)
        return isinstance(last, ToolUse) or (last is not None and last.role == "user")

    @property
    def empty(self) -> bool:
        return not self._entries

    def tool(self, use: ToolUse) -> None:
        self._add(f"tool {use.call_id}", use)

    def late_result(self, use: ToolUse) -> None:
        self.caller(f"result {use.call_id}", late_text(use))

    def replay(self, assistant_part: str = "text") -> list[ClientEvent]:
        events: list[ClientEvent] = []
        for entry in self._entries.values():
            if isinstance(entry, ToolUse):
                events.append(create_function_call(entry.call_id, entry.name, entry.arguments))
                events.append(create_function_output(entry.call_id, entry.output))
            elif entry.text:
                events.append(create_message(entry.role, entry.text, assistant_part))
        return events

    def _say(self, item_id: str, role: str, text: str) -> None:
        known = self._entries.get(item_id)
        if isinstance(known, Said):
            known.text = text
        else:
            self._add(item_id, Said(role, text))

    def _add(self, key: str, entry: Entry) -> None:
        self._entries[key] = entry
        while len(self._entries) > self._last:
            del self._entries[next(iter(self._entries))]


def from_transcript(entries: Iterable[TranscriptEntry], last: int = 40) -> History:
    """Return the history that another relay recorded. Turns are recorded when they end; here they are sorted by their
    start.
    """
    history = History(last)
    late: dict[str, ToolUse] = {}
    for entry in sorted(entries, key=lambda e: e.at_ms):
        if isinstance(entry, Turn):
            say = history.caller if entry.role == "caller" else history.agent
            say(entry.item_id, entry.text)
        elif isinstance(entry, Saying):
            history.agent(entry.item_id, entry.text)
        elif entry.what == TONES:
            history.caller(f"tones {entry.at_ms}", keypad_text(entry.detail))
        elif entry.what == TRANSFER:
            if (transfer := decode_transfer(entry.detail)) is not None and transfer.text:
                history.caller(f"{TRANSFER} {transfer.action_id}", transfer.text)
        elif entry.what in (TOOL_BEGUN, TOOL_CALL, TOOL_LATE, TOOL_RESULT) and (use := _tool_use(entry.detail)):
            if entry.what == TOOL_RESULT:
                history.late_result(use)
                late.pop(use.call_id, None)
                continue
            lost = _LOST.get(use.output) if entry.what == TOOL_BEGUN else None
            history.tool(msgspec.structs.replace(use, output=lost or use.output))
            if entry.what == TOOL_LATE:
                late[use.call_id] = use
    for use in late.values():
        history.late_result(msgspec.structs.replace(use, output=OUTCOME_UNKNOWN))
    return history


def left_saying(entries: Iterable[TranscriptEntry]) -> list[Saying]:
    """Return the agent speech in progress when its relay stopped. How much of it was heard is not recorded yet."""
    turns, saying = set[str](), list[Saying]()
    for entry in entries:
        if isinstance(entry, Turn):
            turns.add(entry.item_id)
        elif isinstance(entry, Saying):
            saying.append(entry)
    return [one for one in saying if one.item_id not in turns]


def _tool_use(detail: str) -> ToolUse | None:
    try:
        return msgspec.json.decode(detail, type=ToolUse)
    except msgspec.MsgspecError:
        return None
