from __future__ import annotations

import pytest

from call_control.core.machine.call_actions import CALLER_HUNG_UP
from lab.acs.call_ends import PHONE_SUB_CODES, USER_SUB_CODES, usual_hang_up
from lab.acs.party_identifiers import Identifier


@pytest.mark.parametrize(
    ("raw_id", "sub_code"),
    [("4:+14255550100", 560000), ("4:anonymous", 560000), ("8:acs:r_1", 5002), ("8:orgid:aa", 5002)],
)
def test_every_caller_has_a_usual_form(raw_id: str, sub_code: int) -> None:
    form = usual_hang_up(Identifier(raw_id))
    assert (form.code, form.sub_code) == (200, sub_code)
    assert form.message == f"The conversation has ended. DiagCode: 0#{sub_code}.@"


def test_call_control_knows_all_simulated_codes() -> None:
    assert {*PHONE_SUB_CODES, *USER_SUB_CODES} == CALLER_HUNG_UP
