from __future__ import annotations

import pytest
from pydantic import ValidationError

from lab.acs.call_ends import Outcome
from lab.acs.people import CalleePlan


def test_a_callee_who_answers_has_no_failure() -> None:
    assert CalleePlan().failure() is None


@pytest.mark.parametrize(
    ("outcome", "code", "sub_code"),
    [("busy", 486, 560486), ("declined", 603, 560603), ("no_answer", 487, 10004), ("unreachable", 480, 10037)],
)
def test_the_other_outcomes_have_the_documented_codes(outcome: Outcome, code: int, sub_code: int) -> None:
    failure = CalleePlan(outcome=outcome).failure()
    assert failure is not None
    assert (failure.code, failure.sub_code, failure.reason) == (code, sub_code, outcome)


def test_an_unknown_outcome_is_refused() -> None:
    with pytest.raises(ValidationError):
        CalleePlan.model_validate({"outcome": "maybe"})
