"""Actions that can be requested of a call (ADR 37): their names, and the validation of their arguments."""

from __future__ import annotations

import re
from typing import Final

from bridge_common.base.errors import InputError
from bridge_common.wire.json_object import decode_object

HANG_UP: Final = "hang_up"
SEND_DTMF: Final = "send_dtmf"
NOTE: Final = "note"
DISPOSITION: Final = "disposition"

OPERATOR: Final = "operator"
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


_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_ARGUMENTS: Final = {HANG_UP: "reason", SEND_DTMF: "tones", NOTE: "text", DISPOSITION: "text"}
"""The only argument of each action; `reason` is optional."""


def fault_of(action: str, arguments: str) -> str:
    """Return the fault in the arguments (JSON text) of an action, or "" if they are valid. An unknown action is a
    fault.
    """
    name = _ARGUMENTS.get(action)
    if name is None:
        return f"unknown action {action[:64]!a}; use {', '.join(_ARGUMENTS)}"
    try:
        given = decode_object(arguments or "{}", "the text of the arguments")
    except InputError as error:
        return error.message
    if unknown := [one for one in given if one != name]:
        return f"unknown argument {unknown[0][:64]!a}; {action} has only {name}"
    value = given.get(name, "" if action == HANG_UP else None)
    if action == SEND_DTMF:
        return tones_fault(name, value)
    return text_fault(name, value, least=0 if action == HANG_UP else 1)


def tones_fault(name: str, value: object) -> str:
    valid = isinstance(value, str) and _TONES.fullmatch(value) is not None
    return "" if valid else f"{name} must be 1 to 18 of 0-9, A-D, * and #"


def text_fault(name: str, value: object, *, least: int = 1) -> str:
    """Return the fault in a text, "" if there is none. Line breaks and tabs are the only valid control characters."""
    if not isinstance(value, str) or not least <= len(value.strip()) <= len(value) <= MAX_TEXT:
        return f"{name} must be a text of {least} to {MAX_TEXT} characters"
    if _UNPRINTABLE.search(value):
        return f"{name} must not contain control characters or a lone surrogate"
    return ""
