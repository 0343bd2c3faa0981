from __future__ import annotations

import logging
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bridge_common.base.errors import OutsideError
from call_control.http import audit
from call_control.http.error_responses import error_reply

CALL = "call_0123456789abcdef01234567"


def written(caplog: pytest.LogCaptureFixture, response: Response | None, call_id: str = CALL) -> dict[str, Any]:
    request = Request({"type": "http", "headers": [], "path_params": {"call_id": call_id}})
    request.state.audit = audit.AuditEntry(
        "GET /api/calls/{call_id}", "10.0.0.1", "operator (API key 1)", more={"calls": 2}
    )
    audit.write(request, response)
    [record] = caplog.records
    return {"level": record.levelno, **vars(record)["bridge_fields"]}


def test_what_was_done(caplog: pytest.LogCaptureFixture) -> None:
    assert written(caplog, JSONResponse({}, 202)) == {
        "level": logging.INFO,
        "by": "operator (API key 1)",
        "source": "10.0.0.1",
        "action": "GET /api/calls/{call_id}",
        "call_id": CALL,
        "status": 202,
        "result": "ok",
        "calls": 2,
    }


def test_why_it_was_not_done(caplog: pytest.LogCaptureFixture) -> None:
    line = written(caplog, error_reply(503, OutsideError("LOADING", retry=True)))
    assert (line["level"], line["status"], line["result"], line["reason"]) == (
        logging.WARNING,
        503,
        "unavailable",
        "LOADING",
    )


def test_a_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    line = written(caplog, None, call_id="x\n" * 100)
    assert (line["level"], line["status"], line["result"], line["call_id"]) == (logging.WARNING, 500, "internal", "")


def test_no_line_where_lines_are_limited(caplog: pytest.LogCaptureFixture) -> None:
    request = Request({"type": "http", "headers": [], "path_params": {}})
    request.state.audit = audit.AuditEntry("GET /api/calls", logged=False)
    audit.write(request, JSONResponse({}, 429))
    assert caplog.records == []
