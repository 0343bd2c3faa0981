"""Maps the codes of a failed invitation or transfer to the reason why a person was not reached (ADR 44).

Source: ACS docs, "Call end codes" and "Call Automation SDK error codes"; real callbacks. Sub codes 560xxx contain the
final SIP response of the carrier, all others are from Microsoft. Real codes differ from the tables, so the sub code
decides, and an unknown one is `unknown`.
"""

from __future__ import annotations

from typing import Final

BUSY: Final = "busy"
DECLINED: Final = "declined"
NO_ANSWER: Final = "no_answer"
WRONG_NUMBER: Final = "wrong_number"
UNREACHABLE: Final = "unreachable"
NOT_CONFIRMED: Final = "not_confirmed"
CANCELED: Final = "canceled"
UNKNOWN: Final = "unknown"
REFUSED: Final = "refused"
"""Followed by the code of ACS."""

_BY_SUB_CODE: Final[dict[int, str]] = {
    **dict.fromkeys((8539, 8540), BUSY),
    **dict.fromkeys((5002, 5003, 8538), DECLINED),
    **dict.fromkeys((500001, 4506, 10004, 8541), NO_ANSWER),
    **dict.fromkeys((511404, 560403), WRONG_NUMBER),
    **dict.fromkeys((531004, 8544), UNREACHABLE),
    # Users of ACS and Teams: not signed in, or their device does not respond.
    **dict.fromkeys((10037, 10076, 10077, 10078, 10134, 10199, 10057), UNREACHABLE),
    5234: CANCELED,
    # Caller id missing, not ours or blocked; no trunk; no permission for the Teams account.
    **dict.fromkeys((510403, 511532, 8523, 10124, 10105, 10073, 10151), REFUSED),
}
_BY_SIP: Final[dict[int, str]] = {
    **dict.fromkeys((486, 600), BUSY),
    **dict.fromkeys((603, 607, 608), DECLINED),
    **dict.fromkeys((480, 408, 487), NO_ANSWER),
    **dict.fromkeys((404, 410, 484, 604), WRONG_NUMBER),
    **dict.fromkeys((500, 502, 503, 504, 580), UNREACHABLE),
}
_SIP: Final = 560_000
_DECLINED_WITHOUT_SUB_CODE: Final = 603


def reason_of(code: int, sub_code: int) -> str:
    """Return the reason for the result of `AddParticipantFailed` or `CallTransferFailed`."""
    reason = _BY_SUB_CODE.get(sub_code) or _BY_SIP.get(sub_code - _SIP, "")
    if not reason and not sub_code:
        reason = DECLINED if code == _DECLINED_WITHOUT_SUB_CODE else UNKNOWN
    return f"{REFUSED} {code}/{sub_code}" if reason == REFUSED else reason or UNKNOWN


def refusal(code: str) -> str:
    """Return the reason for a request that ACS refused with this code."""
    return f"{REFUSED} {code}"
