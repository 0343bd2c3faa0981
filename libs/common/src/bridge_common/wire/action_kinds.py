"""Actions that can be requested of a call (ADR 37): their names, and the validation of their arguments."""

from __future__ import annotations

import json
import re
from typing import Final

HANG_UP: Final = "hang_up"
SEND_DTMF: Final = "send_dtmf"
NOTE: Final = "note"
DISPOSITION: Final = "disposition"

AGENT: Final = "agent"
SILENCE_POLICY: Final = "silence_policy"
AGENTS: Final = frozenset({AGENT, SILENCE_POLICY})
"""Senders whose hang-up is canceled if the caller speaks before it."""

AGENT_ACTIONS: Final = 10
"""Limit for the actions of an agent within `AGENT_WINDOW_S`, hang-ups excluded: it stops a model that loops."""
AGENT_WINDOW_S: Final = 10

MAX_TEXT: Final = 1_000
_TONES: Final = re.compile(r"[0-9A-D*#]{1,18}")
"""Valid DTMF tones. `SendDtmfTones` of Call Automation accepts at most 18."""


def fault_of(action: str, arguments: str) -> str:
    """Return the fault in the arguments (JSON text) of an action, or "" if they are valid. An unknown action is a
    fault.
    """
    try:
        given = json.loads(arguments or "{}")
    except ValueError:
        return "arguments are not valid JSON"
    if not isinstance(given, dict):
        return "arguments are not a JSON object"
    if action == HANG_UP:
        reason = given.get("reason", "")
        valid = isinstance(reason, str) and len(reason) <= MAX_TEXT
        return "" if valid else f"reason must be a string of at most {MAX_TEXT} characters"
    if action == SEND_DTMF:
        tones = given.get("tones")
        valid = isinstance(tones, str) and _TONES.fullmatch(tones) is not None
        return "" if valid else "tones must be 1 to 18 of 0-9, A-D, * and #"
    if action in (NOTE, DISPOSITION):
        text = given.get("text")
        valid = isinstance(text, str) and 0 < len(text.strip()) <= MAX_TEXT
        return "" if valid else f"text must have 1 to {MAX_TEXT} characters"
    return f"unknown action {action!r}; use {HANG_UP}, {SEND_DTMF}, {NOTE}, {DISPOSITION}"
