"""Recognizes ids that the application may have, in each cloud."""

from __future__ import annotations

import pytest

from bridge_common.wire.raw_ids import is_application


@pytest.mark.parametrize(
    "raw_id",
    [
        "8:acs:1111_2222",
        "8:gcch-acs:1111_2222",
        "8:dod-acs:1111_2222",
        "8:ACS:1111_2222",
        "28:orgid:0b0c",
        "28:gcch:0b0c",
        "28:dod:0b0c",
    ],
)
def test_ids_of_the_application(raw_id: str) -> None:
    assert is_application(raw_id)


@pytest.mark.parametrize("raw_id", ["", "4:+14255550100", "4:anonymous", "8:orgid:0b0c", "8:gcch:0b0c", "8:dod:0b0c"])
def test_ids_of_people(raw_id: str) -> None:
    assert not is_application(raw_id)
