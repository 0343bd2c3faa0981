from __future__ import annotations

import pytest

from bridge_common.base.errors import InputError
from call_control.core.policy.targets import raw_id_of


@pytest.mark.parametrize(
    ("text", "raw_id"),
    [
        ("+18005551212", "4:+18005551212"),
        (" +18005551212 ", "4:+18005551212"),
        ("4:+18005551212", "4:+18005551212"),
        ("8:acs:11-22_33-44", "8:acs:11-22_33-44"),
        ("8:orgid:11-22", "8:orgid:11-22"),
        ("28:orgid:11-22", "28:orgid:11-22"),
    ],
)
def test_parties(text: str, raw_id: str) -> None:
    assert raw_id_of(text) == raw_id


@pytest.mark.parametrize(
    "text", ["", "18005551212", "4:1800", "+0123456", "sip:a@b", "8:acs:", "+1800555x", "8:acs:a b"]
)
def test_what_is_no_party(text: str) -> None:
    with pytest.raises(InputError, match="neither"):
        raw_id_of(text)
