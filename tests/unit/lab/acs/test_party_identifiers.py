from __future__ import annotations

import pytest

from lab.acs.acs_errors import InvalidArgumentError
from lab.acs.party_identifiers import Identifier, decode_identifier


@pytest.mark.parametrize(
    ("raw_id", "kind"),
    [
        ("4:+14255550100", "phoneNumber"),
        ("8:acs:res_user", "communicationUser"),
        ("8:orgid:guid", "microsoftTeamsUser"),
        ("28:orgid:guid", "microsoftTeamsApp"),
        ("4:anonymous", "phoneNumber"),
        ("8:acs:res_tenant_user", "teamsExtensionUser"),
        ("99:else", "unknown"),
    ],
)
def test_every_identifier_has_its_kind_and_comes_back(raw_id: str, kind: str) -> None:
    body = Identifier(raw_id).json()
    assert body["kind"] == kind
    assert decode_identifier(body, "target") == Identifier(raw_id)


def test_a_number_or_user_id_alone_is_understood() -> None:
    assert decode_identifier({"phoneNumber": {"value": "+1425"}}, "x") == Identifier("4:+1425")
    assert decode_identifier({"communicationUser": {"id": "8:acs:a"}}, "x") == Identifier("8:acs:a")


@pytest.mark.parametrize("value", [None, "4:+1425", {}, {"rawId": ""}, {"rawId": 4}, {"phoneNumber": {"value": None}}])
def test_anything_else_is_an_invalid_argument(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="target"):
        decode_identifier(value, "target")
