from __future__ import annotations

import pytest

from lab.acs.acs_errors import InvalidArgumentError
from lab.acs.calling_context import decode_calling_context
from lab.acs.party_identifiers import Identifier

PHONE = Identifier.phone("+14255550177")
SIP = {"X-MS-Custom-Reason": "refund", "User-To-User": "00AA;encoding=hex", "Reason": "no prefix"}
DETAILS = {"callTopic": "refund", "sessionId": "s1"}
SENT = {"sipHeaders": SIP, "voipHeaders": {"reason": "refund"}, "teamsPhoneCallDetails": DETAILS}


def test_a_phone_gets_the_sip_headers_with_the_prefix_of_acs() -> None:
    context = decode_calling_context(SENT)
    assert context.delivered_to(PHONE) == {
        "sipHeaders": {"X-MS-Custom-Reason": "refund", "User-To-User": "00AA;encoding=hex"}
    }
    assert context.json() == SENT


@pytest.mark.parametrize(
    ("raw_id", "in_teams"),
    [
        *[("8:orgid:ada", True), ("28:orgid:queue", True), ("8:acs:resource_tenant_user", True)],
        ("8:acs:resource_user", False),
    ],
)
def test_users_get_voip_headers_and_only_teams_gets_the_details(raw_id: str, in_teams: bool) -> None:
    delivered = decode_calling_context(SENT).delivered_to(Identifier(raw_id))
    details = {"teamsPhoneCallDetails": DETAILS} if in_teams else {}
    assert delivered == {"voipHeaders": {"reason": "refund"}} | details


def test_an_absent_context_is_empty() -> None:
    assert decode_calling_context(None).json() == {}


@pytest.mark.parametrize(
    ("context", "fault"),
    [
        (["x"], "CustomCallingContext must be an object"),
        ({"sipHeaders": {"X-MS-Custom-A": 1}}, "SipHeaders must be an object of strings"),
        ({"sipHeaders": {f"X-MS-Custom-{n}": "x" for n in range(6)}}, "has 6 headers; at most 5"),
        ({"sipHeaders": {"X-MS-Custom-A": "x" * 257}}, "is invalid"),
        ({"voipHeaders": {"n" * 65: "x"}}, "is invalid"),
        ({"voipHeaders": {"name": "x\r\nEvil: y"}}, "line breaks"),
        ({"voipHeaders": {f"h{n}": "x" for n in range(1001)}}, "at most 1000"),
        ({"teamsPhoneCallDetails": "text"}, "TeamsPhoneCallDetails must be an object"),
        ({"teamsPhoneCallDetails": {"callTopic": "t" * 49}}, "CallTopic has 49 characters"),
    ],
)
def test_a_context_over_the_limits_is_refused(context: object, fault: str) -> None:
    with pytest.raises(InvalidArgumentError, match=fault):
        decode_calling_context(context)


def test_user_to_user_does_not_count_as_one_of_five() -> None:
    headers = {f"X-MS-Custom-{n}": "x" for n in range(5)} | {"User-To-User": "y"}
    assert len(decode_calling_context({"sipHeaders": headers}).sip) == 6
