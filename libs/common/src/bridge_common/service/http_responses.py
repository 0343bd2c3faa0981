"""Responses of all services: errors as problem details (RFC 9457; codes: docs/api.md), and the probes."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import JSONResponse, Response

from bridge_common.observability import telemetry
from bridge_common.service.readiness import Readiness

PROBLEM_JSON: Final = "application/problem+json"


def problem(status: int, code: str, message: str, **more: object) -> dict[str, object]:
    """Return the body of an error response. `error` is the form of 0.1.0, kept until 0.2.0."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": message,
        "code": code,
        **more,
        "error": {"code": code, "message": message, **more},
    }


def error_response(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(problem(status, code, message), status, headers, media_type=PROBLEM_JSON)


NO_SUCH_PATH: Final = error_response(404, "not_found", "no such path")
FAILED: Final = error_response(500, "internal", "internal error; see the log of the service for the cause")


def livez(failure: str = "") -> Response:
    """Respond to /livez. 503 if a background task has failed: the process must be restarted."""
    if failure:
        return JSONResponse({"status": "failed", "reason": failure}, 503)
    return JSONResponse({"status": "alive"})


def readyz(readiness: Readiness, **more: object) -> Response:
    """Respond to /readyz. `more`: additional fields."""
    if readiness.reason:
        return JSONResponse({"status": "not ready", "reason": readiness.reason, **more}, 503)
    degraded = {"degraded": readiness.degraded} if readiness.degraded else {}
    return JSONResponse({"status": "ready", **degraded, **more})


def metrics(accept: str = "") -> Response:
    """Respond to /metrics. `accept`: header of the request."""
    body, content_type = telemetry.render(accept)
    return Response(body, headers={"content-type": content_type})
