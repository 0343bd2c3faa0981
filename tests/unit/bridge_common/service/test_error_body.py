from __future__ import annotations

import json

import pytest

from bridge_common.service.error_body import FAILED, NO_SUCH_PATH, error_answer, error_body
from bridge_common.service.probes import ProbeResponse


def test_a_body_has_one_shape_and_may_say_more() -> None:
    assert error_body("bad_policy", "no", mistakes=["a"]) == {
        "error": {"code": "bad_policy", "message": "no", "mistakes": ["a"]}
    }


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [(NO_SUCH_PATH, 404, "not_found"), (FAILED, 500, "internal"), (error_answer(400, "bad", "x"), 400, "bad")],
)
def test_answers(answer: ProbeResponse, status: int, code: str) -> None:
    assert (answer.status, answer.content_type) == (status, "application/json")
    assert json.loads(answer.body)["error"]["code"] == code
