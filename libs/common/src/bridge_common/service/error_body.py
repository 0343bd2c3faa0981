"""The body of every HTTP error of the three services: `{"error": {"code", "message"}}`. Codes: docs/api.md."""

from __future__ import annotations

import json
from typing import Final

from bridge_common.service.probes import ProbeResponse


def error_body(code: str, message: str, **more: object) -> dict[str, object]:
    return {"error": {"code": code, "message": message, **more}}


def error_answer(status: int, code: str, message: str) -> ProbeResponse:
    return ProbeResponse(
        status, json.dumps(error_body(code, message), separators=(",", ":")).encode(), "application/json"
    )


NO_SUCH_PATH: Final = error_answer(404, "not_found", "no such path")
FAILED: Final = error_answer(500, "internal", "internal error: the log of the service has the cause")
