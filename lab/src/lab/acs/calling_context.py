"""Context that the application sends to the target of an add or a transfer (ACS docs, "Call Automation custom
context"). No I/O.

SIP headers reach phones, VoIP headers reach ACS and Teams users, `teamsPhoneCallDetails` reach Teams only. The effect
of a context over the limits of ACS is not documented; the simulator rejects it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lab.acs.acs_errors import InvalidArgumentError
from lab.acs.party_identifiers import Identifier, Json

SIP_PREFIX: Final = "x-ms-custom-"
USER_TO_USER: Final = "user-to-user"
MAX_TOPIC: Final = 48
_SIP_LIMITS: Final = (5, 64, 256)
_VOIP_LIMITS: Final = (1000, 64, 1024)
"""Number of headers (without `User-To-User`), characters of a name, characters of a value."""


@dataclass(frozen=True, slots=True)
class CallingContext:
    """`customCallingContext` of a request. `teams`: `teamsPhoneCallDetails`."""

    sip: Mapping[str, str]
    voip: Mapping[str, str]
    teams: Json | None = None

    def json(self) -> Json:
        return _filled(
            {"sipHeaders": dict(self.sip), "voipHeaders": dict(self.voip), "teamsPhoneCallDetails": self.teams}
        )

    def delivered_to(self, target: Identifier) -> Json:
        """Return the part that reaches `target`. A SIP header without the prefix `X-MS-Custom-` is not delivered."""
        if target.number is not None:
            names = [name for name in self.sip if name.lower().startswith(SIP_PREFIX) or name.lower() == USER_TO_USER]
            return _filled({"sipHeaders": {name: self.sip[name] for name in names}})
        return _filled(
            {"voipHeaders": dict(self.voip), "teamsPhoneCallDetails": self.teams if target.in_teams else None}
        )


def decode_calling_context(value: object) -> CallingContext:
    """Decode `customCallingContext`. Raises `InvalidArgumentError` if it is invalid or over the limits of ACS."""
    if value is None:
        return CallingContext({}, {})
    if not isinstance(value, Mapping):
        raise InvalidArgumentError("The field CustomCallingContext must be an object.")
    details = value.get("teamsPhoneCallDetails")
    if details is not None and not isinstance(details, dict):
        raise InvalidArgumentError("The field TeamsPhoneCallDetails must be an object.")
    topic = (details or {}).get("callTopic")
    if isinstance(topic, str) and len(topic) > MAX_TOPIC:
        raise InvalidArgumentError(f"The field CallTopic has {len(topic)} characters; at most {MAX_TOPIC} are allowed.")
    return CallingContext(
        _headers(value.get("sipHeaders"), "SipHeaders", _SIP_LIMITS),
        _headers(value.get("voipHeaders"), "VoipHeaders", _VOIP_LIMITS),
        details,
    )


def _headers(value: object, field: str, limits: tuple[int, int, int]) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(one, str) for pair in value.items() for one in pair):
        raise InvalidArgumentError(f"The field {field} must be an object of strings.")
    most, name_length, value_length = limits
    headers = {str(name): str(one) for name, one in value.items()}
    count = sum(name.lower() != USER_TO_USER for name in headers)
    if count > most:
        raise InvalidArgumentError(f"The field {field} has {count} headers; at most {most} are allowed.")
    for name, one in headers.items():
        if len(name) > name_length or len(one) > value_length or any(mark in name + one for mark in "\r\n\0"):
            raise InvalidArgumentError(
                f"The header {name[:name_length]!r} of {field} is invalid: a name has at most {name_length} "
                f"characters, a value {value_length}, and neither has line breaks."
            )
    return headers


def _filled(form: Json) -> Json:
    return {name: value for name, value in form.items() if value}
