from __future__ import annotations

import pytest
from pydantic import ValidationError

from lab.scenario_outcome import ScenarioOutcome


def test_nothing_is_expected_by_default() -> None:
    empty = ScenarioOutcome()
    assert (empty.transfers, empty.participants, empty.actions) == (None, None, None)
    assert (empty.hears, empty.unheard, empty.context, empty.without_agent) == ({}, {}, {}, False)


@pytest.mark.parametrize(
    "expect",
    [
        {"transfers": [{"outcome": "done"}]},
        {"transfers": [{"target": "desk", "outcome": "lost"}]},
        {"state": "ended"},
        {"hears": {"caller": "desk"}},
        {"context": {"desk": {"subject": "x"}}},
        {"masked": "12"},
    ],
)
def test_unclear_expectations_are_refused(expect: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ScenarioOutcome.model_validate(expect)
