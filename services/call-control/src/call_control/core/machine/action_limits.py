"""Limits for the actions of a call. Actions are never deleted from the record: repeated requests are found there."""

from __future__ import annotations

from typing import Final

from bridge_common.wire.action_kinds import AGENT_ACTIONS, AGENT_WINDOW_S, AGENTS, HANG_UP
from bridge_common.wire.call_record import CallRecord

MAX_ACTIONS: Final = 100
RESERVED: Final = 20
"""Further actions for hang-ups, and for requests of operators that are refused at the limit."""


def limit_fault(record: CallRecord, action: str, by: str, now_ms: int) -> str:
    """Return the exceeded limit, "" if the action may be requested."""
    if len(record.actions) >= (MAX_ACTIONS + RESERVED if action == HANG_UP else MAX_ACTIONS):
        return f"the call has reached its limit of {MAX_ACTIONS} actions"
    if by not in AGENTS or action == HANG_UP:
        return ""
    since_ms = now_ms - 1000 * AGENT_WINDOW_S
    recent = [one for one in record.actions if one.by in AGENTS and one.at_ms > since_ms and one.state != "failed"]
    return f"too many actions within {AGENT_WINDOW_S} s" if len(recent) >= AGENT_ACTIONS else ""


def is_recorded(record: CallRecord, by: str) -> bool:
    """Return whether a refused request is added to the record."""
    return len(record.actions) < (MAX_ACTIONS if by in AGENTS else MAX_ACTIONS + RESERVED)
