from __future__ import annotations

import pytest

from call_control.core.events.identifiers import is_present, raw_id_in
from call_control.core.events.json_fields import Node


@pytest.mark.parametrize(
    ("party", "raw_id"),
    [
        (None, ""),
        ({}, ""),
        ({"kind": "unknown"}, ""),
        ("nobody knows", "nobody knows"),
        ("+14255550100", "4:+14255550100"),
        (7, ""),
        ([{"rawId": "8:acs:r_1"}], ""),
        ({"kind": "unknown", "rawId": "28:orgid:cc12"}, "28:orgid:cc12"),
        ({"rawId": True, "phoneNumber": {"value": "+1425"}}, "4:+1425"),
        ({"rawId": "", "phoneNumber": "+1425"}, "4:+1425"),
        ({"phoneNumber": {"value": 1425}}, "4:1425"),
        ({"phoneNumber": {"value": "anonymous"}}, "4:anonymous"),
        ({"phoneNumber": {"value": None, "isAnonymous": True}}, "4:anonymous"),
        ({"kind": "communicationUser", "communicationUser": {"id": "8:acs:r_1"}}, "8:acs:r_1"),
        ({"microsoftTeamsUser": {"userId": "aa", "isAnonymous": False, "cloud": "public"}}, "8:orgid:aa"),
        ({"microsoftTeamsUser": {"userId": "aa", "cloud": "GCCH"}}, "8:gcch:aa"),
        ({"microsoftTeamsUser": {"userId": "aa", "isAnonymous": True}}, "8:teamsvisitor:aa"),
        ({"microsoftTeamsApp": {"appId": "cc", "cloud": "public"}}, "28:orgid:cc"),
        ({"microsoftTeamsApp": {"appId": "cc", "cloud": "dod"}}, "28:dod:cc"),
        ({"teamsExtensionUser": {"userId": "u", "tenantId": "t", "resourceId": "r"}}, "8:acs:r_t_u"),
        (
            {"teamsExtensionUser": {"userId": "u", "tenantId": "t", "resourceId": "r", "cloud": "gcch"}},
            "8:gcch-acs:r_t_u",
        ),
        ({"teamsExtensionUser": {"userId": "u", "tenantId": "t"}}, ""),
        ({"rawId": "4:+" + "1" * 300}, "4:+" + "1" * 253),
        ({"rawId": "\ud800"}, "?"),
    ],
)
def test_a_party_is_read_as_it_is_spelled(party: object, raw_id: str) -> None:
    assert raw_id_in(Node("data", {"from": party}), "from") == raw_id


def test_an_absent_party_is_nobody() -> None:
    assert raw_id_in(Node("data", {}), "from") == ""
    assert not is_present(Node("data", {"from": {}}), "from")
    assert is_present(Node("data", {"from": {"kind": "unknown"}}), "from")
