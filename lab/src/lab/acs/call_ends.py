"""How a call can end: result codes of `CallDisconnected` and of failed calls. No I/O.

Sources: ACS docs, "Call end codes", and recorded callbacks. When a phone caller hangs up, the code reports the SIP
response of their leg (560000 for outbound, 540000 for inbound calls); for users it depends on the client and the kind
of call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from lab.acs.party_identifiers import Identifier

PHONE_SUB_CODES: Final = (560000, 540000)
USER_SUB_CODES: Final = (5002, 5001, 5007, 5010, 5020, 18503, 4097, 4521)
"""Why a call ended, in this order: all others left; ended for everyone; the initiator left; one participant remains;
only hidden participants remain; in a call of two: the other left; the other ended the call; the other lost its
connection.
"""
Outcome = Literal[
    "answers",
    "voicemail",
    "busy",
    "declined",
    "no_answer",
    "unreachable",
    "wrong_number",
    "network_error",
    "silent_client",
]


@dataclass(slots=True)
class CallEnd:
    """How a call ended. The codes and the message go to `resultInformation` of `CallDisconnected`."""

    by: str
    reason: str
    code: int
    sub_code: int
    message: str


class HangUpForm(BaseModel):
    """Result codes to report when the caller hangs up."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)
    code: int = 200
    sub_code: int = Field(validation_alias="subCode")

    @property
    def message(self) -> str:
        return f"The conversation has ended. DiagCode: 0#{self.sub_code}.@"


HUNG_UP_BY_APP: Final = CallEnd(
    "agent",
    "agent_hung_up",
    200,
    7000,
    "Call was ended by Azure Communication Service Call Automation API or a server bot. DiagCode: 0#7000.@",
)
"""In this message the first number of DiagCode is 0, although the code of the event is 200 (recorded callbacks of
2025).
"""
CANCELED_BY_CALLER: Final = CallEnd(
    "caller", "caller_canceled", 487, 540487, "Call canceled by the caller. DiagCode: 487#540487.@"
)
CANCELED_OUTBOUND: Final = CallEnd(
    "agent", "agent_hung_up", 487, 540487, "Call canceled by the application. DiagCode: 487#540487.@"
)
LAST_ONE_REMOVED: Final = CallEnd("agent", "agent_hung_up", 200, 5002, "The conversation has ended. DiagCode: 0#5002.@")
"""Recorded from a call whose application removed the only other party."""
TRANSFERRED: Final = CallEnd("agent", "transferred", 200, 7015, "The conversation has ended. DiagCode: 0#7015.@")
"""Documented, not recorded (Microsoft Graph, end reasons of the same conversation service)."""
CALLER_ID_REFUSED: Final = (403, 510403, "The caller id is not allowed. DiagCode: 403#510403.@")
TEAMS_REFUSED: Final = (403, 10124, "The tenant does not admit the resource. DiagCode: 403#10124.@")
CANCELED_INVITATION: Final = (487, 5234, "The Call Has Been Cancelled. DiagCode: 487#5234.@")
_FAILURES: Final[dict[str, tuple[int, int, str]]] = {
    "busy": (486, 560486, "Call was rejected as the callee is busy. DiagCode: 486#560486.@"),
    "declined": (603, 560603, "Call was declined by the callee. DiagCode: 603#560603.@"),
    "no_answer": (487, 10004, "The call was not answered in time. DiagCode: 487#10004.@"),
    "unreachable": (480, 10037, "The callee is not registered. DiagCode: 480#10037.@"),
    "wrong_number": (404, 560404, "The phone number is not assigned. DiagCode: 404#560404.@"),
    "network_error": (503, 560503, "The network of the callee is unavailable. DiagCode: 503#560503.@"),
    "silent_client": (408, 10057, "Request Timeout. DiagCode: 408#10057.@"),
}


def ended_by_acs(reason: str, sub_code: int, code: int = 200) -> CallEnd:
    return CallEnd("acs", reason, code, sub_code, f"The conversation has ended. DiagCode: 0#{sub_code}.@")


def refused(codes: tuple[int, int, str]) -> CallEnd:
    """Return the outcome of a request to reach a person that ACS itself refuses or cancels."""
    return CallEnd("acs", "refused", *codes)


def usual_hang_up(caller: Identifier) -> HangUpForm:
    return HangUpForm(sub_code=(PHONE_SUB_CODES if caller.number is not None else USER_SUB_CODES)[0])


def failure(outcome: Outcome) -> CallEnd | None:
    """Return the end of a call with this outcome, or `None` if the callee answers."""
    if outcome in {"answers", "voicemail"}:
        return None
    code, sub_code, message = _FAILURES[outcome]
    return CallEnd(by="callee", reason=outcome, code=code, sub_code=sub_code, message=message)
