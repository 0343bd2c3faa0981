from __future__ import annotations

import pytest
from pydantic import ValidationError

from lab.scenario import Reply, ScenarioStep


@pytest.mark.parametrize("step", [{}, {"say": "a", "dtmf": "1"}, {"dtmf": "x"}, {"wait_for": "nothing"}, {"sing": "a"}])
def test_a_step_has_exactly_one_action(step: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ScenarioStep.model_validate(step)


def test_a_reply_says_or_calls_something() -> None:
    with pytest.raises(ValidationError, match="must contain `say`, `call`"):
        Reply()


def test_a_reply_has_one_function_and_words_before_it_only_with_a_function() -> None:
    end = {"name": "end_call"}
    with pytest.raises(ValidationError, match="has `call` and `tool`; keep one"):
        Reply.model_validate({"call": end, "tool": end})
    with pytest.raises(ValidationError, match="which only a `call` can follow"):
        Reply.model_validate({"say_first": "Goodbye.", "tool": end})
