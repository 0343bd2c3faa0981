from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from lab.acs import acs_errors


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (acs_errors.UnauthorizedError("m"), 401, "7509"),
        (acs_errors.AcsNotFoundError("m"), 404, "8522"),
        (acs_errors.InvalidArgumentError("m"), 400, "8523"),
        (acs_errors.TooEarlyError("m"), 400, "8501"),
        (acs_errors.WrongStateError("m"), 400, "8585"),
        (acs_errors.AcsConflictError("m"), 409, "8519"),
        (acs_errors.NotConfiguredError("m"), 405, "8522"),
        (acs_errors.NotSimulatedError("m"), 405, "8520"),
        (acs_errors.AcsApiError("m", status=429, code="8516"), 429, "8516"),
    ],
)
def test_errors_have_the_form_of_acs(error: acs_errors.AcsApiError, status: int, code: str) -> None:
    response = error.response({"Retry-After": "1"})
    assert response.status_code == status
    assert response.headers["retry-after"] == "1"
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    body = json.loads(bytes(response.body))
    assert body == {"error": {"code": code, "message": "m"}}


def test_a_stale_context_has_the_words_that_clients_look_for() -> None:
    error = acs_errors.StaleContextError(
        datetime(2026, 11, 22, 5, 1, tzinfo=UTC), datetime(2026, 11, 22, 5, 0, 30, tzinfo=UTC)
    )
    assert error.message.startswith("IDX23010: Lifetime validation of the signed http request failed. Current time: '")
    assert "'11/22/2026 05:00:30' UTC" in error.message
