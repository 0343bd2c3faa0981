"""Responses of /livez, /readyz and /metrics, independent of the server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from bridge_common.observability import telemetry

_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class ProbeResponse:
    status: int
    body: bytes
    content_type: str


def livez(failure: str = "") -> ProbeResponse:
    """503 if a background task has failed: the process must be restarted."""
    if failure:
        return ProbeResponse(
            503, json.dumps({"status": "failed", "reason": failure}, separators=(",", ":")).encode(), _JSON
        )
    return ProbeResponse(200, b'{"status":"alive"}', _JSON)


def readyz(reason: str, **more: object) -> ProbeResponse:
    """Ready when `reason` is empty, else not, for this reason; `more` is shown beside it."""
    told = {"status": "not ready", "reason": reason} if reason else {"status": "ready"}
    return ProbeResponse(503 if reason else 200, json.dumps(told | more, separators=(",", ":")).encode(), _JSON)


def metrics() -> ProbeResponse:
    return ProbeResponse(200, telemetry.render(), telemetry.CONTENT_TYPE)
