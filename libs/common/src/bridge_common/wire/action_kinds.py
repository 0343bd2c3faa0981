"""Actions that can be requested of a call (ADR 37): their names, and the validation of their arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from bridge_common.base.errors import InputError
from bridge_common.wire.json_object import decode_object

HANG_UP: Final = "hang_up"
SEND_DTMF: Final = "send_dtmf"
NOTE: Final = "note"
DISPOSITION: Final = "disposition"
TRANSFER: Final = "transfer"
ADD_PARTICIPANT: Final = "add_participant"
REMOVE_PARTICIPANT: Final = "remove_participant"
HOLD: Final = "hold"
RESUME: Final = "resume"
MUTE: Final = "mute"
RETURN_TO_AGENT: Final = "return_to_agent"

BLIND: Final = "blind"
ATTENDED: Final = "attended"
CALLER: Final = "caller"
"""Name of the caller as a participant, and of the caller as the sender of an action (`return_key`)."""

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


MAX_TOPIC: Final = 48
"""Limit of `call_topic` in TeamsPhoneCallDetails."""
MAX_SUMMARY: Final = 500
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
"""Name of a target in the routing policy."""
_PARTICIPANT: Final = re.compile(r"[A-Za-z0-9+][A-Za-z0-9+ :._-]{0,199}")
"""`caller`, name of a target, or raw id."""
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def _text(name: str, value: object) -> str:
    return text_fault(name, value)


def _optional_text(name: str, value: object) -> str:
    return text_fault(name, value, least=0)


def _topic(name: str, value: object) -> str:
    return text_fault(name, value, least=0, most=MAX_TOPIC)


def _summary(name: str, value: object) -> str:
    return text_fault(name, value, least=0, most=MAX_SUMMARY)


def target_fault(name: str, value: object) -> str:
    valid = isinstance(value, str) and _NAME.fullmatch(value) is not None
    return "" if valid else f"{name} must be the name of a target in the routing policy"


def participant_fault(name: str, value: object) -> str:
    valid = isinstance(value, str) and _PARTICIPANT.fullmatch(value) is not None
    return "" if valid else f"{name} must be `{CALLER}`, the name of a target in the routing policy, or a raw id"


def _mode(name: str, value: object) -> str:
    return "" if value in (BLIND, ATTENDED) else f"{name} must be {BLIND} or {ATTENDED}"


def tones_fault(name: str, value: object) -> str:
    valid = isinstance(value, str) and _TONES.fullmatch(value) is not None
    return "" if valid else f"{name} must be 1 to 18 characters of 0-9, A-D, * and #"


_Check: TypeAlias = Callable[[str, object], str]


@dataclass(frozen=True, slots=True)
class _Arguments:
    required: Mapping[str, _Check] = field(default_factory=dict)
    optional: Mapping[str, _Check] = field(default_factory=dict)


_CONTEXT: Final[Mapping[str, _Check]] = {"topic": _topic, "summary": _summary}
_ARGUMENTS: Final[Mapping[str, _Arguments]] = {
    HANG_UP: _Arguments(optional={"reason": _optional_text}),
    SEND_DTMF: _Arguments({"tones": tones_fault}),
    NOTE: _Arguments({"text": _text}),
    DISPOSITION: _Arguments({"text": _text}),
    TRANSFER: _Arguments({"target": target_fault}, {"mode": _mode, **_CONTEXT}),
    ADD_PARTICIPANT: _Arguments({"target": target_fault}, _CONTEXT),
    REMOVE_PARTICIPANT: _Arguments({"participant": participant_fault}),
    HOLD: _Arguments(optional={"participant": participant_fault}),
    RESUME: _Arguments(optional={"participant": participant_fault}),
    MUTE: _Arguments(optional={"participant": participant_fault}),
    RETURN_TO_AGENT: _Arguments(),
}
"""The arguments of each action. The default of `participant` is the caller."""
ACTION_KINDS: Final = tuple(_ARGUMENTS)


def fault_of(action: str, arguments: str) -> str:
    """Return the fault in the arguments (JSON text) of an action, or "" if they are valid. An unknown action is a
    fault.
    """
    allowed = _ARGUMENTS.get(action)
    if allowed is None:
        return f"unknown action {action[:64]!a}; use {', '.join(_ARGUMENTS)}"
    try:
        given = decode_object(arguments or "{}", "the text of the arguments")
    except InputError as error:
        return error.message
    checks = {**allowed.required, **allowed.optional}
    if unknown := [one for one in given if one not in checks]:
        known = f"has only {', '.join(checks)}" if checks else "has no arguments"
        return f"unknown argument {unknown[0][:64]!a}; {action} {known}"
    faults = (checks[name](name, given.get(name)) for name in checks if name in given or name in allowed.required)
    return next((fault for fault in faults if fault), "")


def text_fault(name: str, value: object, *, least: int = 1, most: int = MAX_TEXT) -> str:
    """Return the fault in a text, "" if there is none. Line breaks and tabs are the only valid control characters."""
    if not isinstance(value, str) or not least <= len(value.strip()) <= len(value) <= most:
        return f"{name} must be a string of {least} to {most} characters"
    if _UNPRINTABLE.search(value):
        return f"{name} must not contain control characters or a lone surrogate"
    return ""
