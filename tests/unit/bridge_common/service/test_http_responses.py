from __future__ import annotations

import json
from http import HTTPStatus

import pytest
from starlette.responses import Response

from bridge_common.service.http_responses import (
    FAILED,
    NO_SUCH_PATH,
    error_response,
    livez,
    metrics,
    problem,
    readyz,
)
from bridge_common.service.readiness import Readiness


def test_a_process_that_answers_is_alive() -> None:
    assert (livez().status_code, json.loads(bytes(livez().body))) == (200, {"status": "alive"})


def test_a_process_with_a_dead_part_is_not() -> None:
    answer = livez("reader has stopped")
    assert (answer.status_code, json.loads(bytes(answer.body))) == (
        503,
        {"status": "failed", "reason": "reader has stopped"},
    )


def test_ready_without_a_reason_against_it() -> None:
    answer = readyz(Readiness(), redis_age_s=0.1)
    assert answer.status_code == 200
    assert json.loads(bytes(answer.body)) == {"status": "ready", "redis_age_s": 0.1}


def test_a_ready_process_may_be_degraded() -> None:
    answer = readyz(Readiness(degraded="at capacity"))
    assert answer.status_code == 200
    assert json.loads(bytes(answer.body)) == {"status": "ready", "degraded": "at capacity"}


def test_not_ready_says_why() -> None:
    answer = readyz(Readiness("draining"))
    assert answer.status_code == 503
    assert json.loads(bytes(answer.body)) == {"status": "not ready", "reason": "draining"}
    assert answer.media_type == "application/json"


def test_metrics_have_the_form_that_prometheus_reads() -> None:
    assert metrics().headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"bridge_active_calls" in metrics().body


def test_an_error_may_have_more_fields() -> None:
    assert problem(422, "bad_policy", "no", mistakes=["a"]) == {
        "type": "about:blank",
        "title": HTTPStatus(422).phrase,
        "status": 422,
        "detail": "no",
        "code": "bad_policy",
        "mistakes": ["a"],
        "error": {"code": "bad_policy", "message": "no", "mistakes": ["a"]},
    }


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [(NO_SUCH_PATH, 404, "not_found"), (FAILED, 500, "internal"), (error_response(400, "bad", "x"), 400, "bad")],
)
def test_answers(answer: Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert json.loads(bytes(answer.body))["code"] == code
