"""The context of a call in the form that ACS delivers to each kind of target (ACS docs, "Call Automation custom
context").

ACS delivers SIP headers to phones, VoIP headers to users of ACS and Teams, and `TeamsPhoneCallDetails` to Teams only.
The SDK drops the details if a request has no header. Headers that came with the call are forwarded after ours; their
sender controls them, so they can neither replace ours nor break a line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from call_control.core.events.custom_context import clean
from call_control.core.policy.parties import is_anonymous, is_in_teams
from call_control.core.transfer_context import TransferContext

SIP_PREFIX: Final = "X-MS-Custom-"
USER_TO_USER: Final = "User-To-User"
MAX_SIP_HEADERS: Final = 5
"""`User-To-User` is not counted."""
MAX_SIP_VALUE: Final = 256
MAX_CONTEXT: Final = 4_000
"""Characters of all names and values. Headers of the caller beyond it are dropped: they must not fail the transfer."""
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'+.^_`|~-]{1,64}")
_SUMMARY_NAMES: Final = ("Summary", "Summary2", "Summary3")
_OURS: Final = frozenset(name.lower() for name in ("Topic", "Call", *_SUMMARY_NAMES))
_ASCII: Final = "".join(chr(code) for code in range(0x20, 0x7F))
_ASCII_BUT_PERCENT: Final = _ASCII.replace("%", "")


@dataclass(frozen=True, slots=True)
class TeamsDetails:
    """Content of `TeamsPhoneCallDetails`."""

    topic: str
    summary: str
    session_id: str
    caller: str
    """Raw id of a phone; empty for other callers, because the details of a caller need a number."""
    caller_name: str


@dataclass(frozen=True, slots=True)
class CallingHeaders:
    sip: Mapping[str, str]
    voip: Mapping[str, str]
    teams: TeamsDetails | None = None


def calling_headers(context: TransferContext, target: str) -> CallingHeaders:
    """`target`: raw id."""
    if target.startswith("4:"):
        return CallingHeaders(_sip_headers(context), {})
    return CallingHeaders({}, _voip_headers(context), _teams_details(context) if is_in_teams(target) else None)


def _sip_headers(context: TransferContext) -> dict[str, str]:
    summaries = _sip_values(context.summary, len(_SUMMARY_NAMES))
    ours = {
        "Topic": _sip_values(context.topic)[0],
        "Call": context.call_id,
        **dict(zip(_SUMMARY_NAMES, summaries, strict=False)),
    }
    found = {f"{SIP_PREFIX}{name}": value for name, value in ours.items() if value}
    came = {**context.sip_headers, **context.voip_headers}
    for name, value in _foreign(came).items():
        full = name if name.lower().startswith(SIP_PREFIX.lower()) else f"{SIP_PREFIX}{name}"
        if len(found) < MAX_SIP_HEADERS and _NAME.fullmatch(full):
            found[full] = _sip_values(value, safe=_ASCII)[0]
    return found | _user_to_user(came)


def _voip_headers(context: TransferContext) -> dict[str, str]:
    ours = {"Topic": context.topic, "Summary": context.summary, "Call": context.call_id}
    came = {**context.sip_headers, **context.voip_headers}
    found = {name: value for name, value in ours.items() if value} | _user_to_user(came)
    left = MAX_CONTEXT - sum(len(name) + len(value) for name, value in found.items())
    for name, value in _foreign(came).items():
        left -= len(name) + len(value)
        if left >= 0:
            found[name] = value
    return found


def _teams_details(context: TransferContext) -> TeamsDetails:
    phone = context.caller.startswith("4:") and not is_anonymous(context.caller)
    return TeamsDetails(
        context.topic, context.summary, context.call_id, context.caller if phone else "", context.caller_name
    )


def _foreign(came: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that came with the call and may be forwarded: none with a name of ours, and no
    `User-To-User`. Upper and lower case are equal.
    """
    found: dict[str, str] = {}
    taken = {USER_TO_USER.lower(), *_OURS}
    for name, value in came.items():
        bare = name.lower().removeprefix(SIP_PREFIX.lower())
        if bare not in taken and _NAME.fullmatch(name):
            found[name] = clean(value, len(value))
            taken.add(bare)
    return found


def _user_to_user(came: Mapping[str, str]) -> dict[str, str]:
    """Return the header unchanged, or nothing: a part of its value, or another encoding, would be useless."""
    value = next((value for name, value in came.items() if name.lower() == USER_TO_USER.lower()), "")
    valid = value.isascii() and value.isprintable() and 0 < len(value) <= MAX_SIP_VALUE
    return {USER_TO_USER: value} if valid else {}


def _sip_values(text: str, most: int = 1, *, safe: str = _ASCII_BUT_PERCENT) -> list[str]:
    """Encode a text as at most `most` values of printable ASCII; the receiver joins and percent-decodes them. No value
    ends within a character, or begins or ends with a space, which SIP would remove.

    `safe`: characters that are not encoded.
    """
    values = [""]
    for character in text:
        encoded = quote(character, safe=safe, errors="replace")
        if len(values[-1]) + len(encoded) > MAX_SIP_VALUE - 2 * len("%20"):
            if len(values) == most:
                break
            values.append("")
        values[-1] += encoded
    return [_with_spaces(value) for value in values] if most > 1 else [values[0].strip()]


def _with_spaces(value: str) -> str:
    start, end = value.startswith(" "), value.endswith(" ")
    return ("%20" if start else "") + value.strip() + ("%20" if end else "")
