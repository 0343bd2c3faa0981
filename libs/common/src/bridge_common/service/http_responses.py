"""Responses of all services: errors, `{"error": {"code", "message"}}` (codes: docs/api.md), and the probes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import JSONResponse, Response

from bridge_common.observability import telemetry


def error_body(code: str, message: str, **more: object) -> dict[str, object]:
    return {"error": {"code": code, "message": message, **more}}


def error_response(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(error_body(code, message), status, headers)


NO_SUCH_PATH: Final = error_response(404, "not_found", "no such path")
FAILED: Final = error_response(500, "internal", "internal error; see the log of the service for the cause")


def livez(failure: str = "") -> Response:
    """Respond to /livez. 503 if a background task has failed: the process must be restarted."""
    if failure:
        return JSONResponse({"status": "failed", "reason": failure}, 503)
    return JSONResponse({"status": "alive"})


def readyz(reason: str, **more: object) -> Response:
    """Respond to /readyz. `reason`: empty, or why the service is not ready. `more`: additional fields."""
    status = {"status": "not ready", "reason": reason} if reason else {"status": "ready"}
    return JSONResponse(status | more, 503 if reason else 200)


def metrics() -> Response:
    return Response(telemetry.render(), media_type=telemetry.CONTENT_TYPE)
