"""The context of a call for the target of a transfer or an invitation (ADR 44)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge_common.wire.action_kinds import DISPOSITION, MAX_SUMMARY, MAX_TOPIC, NOTE
from bridge_common.wire.call_record import CallAction, CallRecord
from call_control.core.events.custom_context import clean
from call_control.core.policy.parties import is_anonymous, is_resource_account

_ELLIPSIS: Final = "…"


@dataclass(frozen=True, slots=True)
class TransferContext:
    """Texts are on one line, without control characters."""

    topic: str = ""
    """At most `MAX_TOPIC` characters."""
    summary: str = ""
    """At most `MAX_SUMMARY` characters."""
    call_id: str = ""
    caller: str = ""
    """Raw id; empty for an unknown caller."""
    caller_name: str = ""
    """Display name from the caller's network: untrusted."""
    sip_headers: Mapping[str, str] = field(default_factory=dict)
    """SIP headers that came with the call: untrusted."""
    voip_headers: Mapping[str, str] = field(default_factory=dict)
    """VoIP headers that came with the call: untrusted."""


def context_of(record: CallRecord, action: CallAction | None) -> TransferContext:
    """Return the context from the arguments of the action or, where they are missing, from the record."""
    given = json.loads(action.arguments or "{}") if action is not None else {}
    came = json.loads(record.custom_context) if record.custom_context else {}
    return TransferContext(
        topic=_one_line(given.get("topic"), MAX_TOPIC) or _topic(record),
        summary=_one_line(given.get("summary"), MAX_SUMMARY) or _summary(record),
        call_id=record.call_id,
        caller=record.caller,
        caller_name=record.caller_display_name,
        sip_headers=came.get("sip_headers", {}),
        voip_headers=came.get("voip_headers", {}),
    )


def _topic(record: CallRecord) -> str:
    outcomes = _texts(record, DISPOSITION)
    return _one_line(outcomes[-1] if outcomes else f"Call from {_spoken(record.caller)}", MAX_TOPIC)


def _summary(record: CallRecord) -> str:
    """The disposition and the notes of the call, else its parties."""
    texts = [*_texts(record, DISPOSITION)[-1:], *_texts(record, NOTE)]
    parties = f"Call from {_spoken(record.caller)} to {_spoken(record.callee)}."
    return _one_line(" ".join(_sentence(text) for text in texts) or parties, MAX_SUMMARY)


def _texts(record: CallRecord, kind: str) -> list[str]:
    texts = [json.loads(one.arguments).get("text", "") for one in record.actions if _holds(one, kind)]
    return [text for text in texts if text]


def _holds(action: CallAction, kind: str) -> bool:
    return action.kind == kind and action.state not in ("failed", "canceled")


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _spoken(party: str) -> str:
    if is_resource_account(party):
        return "a Teams resource account"
    return "a hidden number" if is_anonymous(party) else party.removeprefix("4:")


def _one_line(text: object, limit: int) -> str:
    """Join lines with spaces, remove other control characters, and cut the text at the end of a word."""
    line = clean(" ".join(text.split()), MAX_SUMMARY * 4) if isinstance(text, str) else ""
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    whole, _, last = cut.rpartition(" ")
    return (whole if whole and len(last) < limit // 2 else cut).rstrip() + _ELLIPSIS
