"""The audit log: one line for each request of an operator, on a logger of its own, whatever LOG_LEVEL says.

A line says who asked (the number of the API key, and the name that the request gives), from where, for what, about
which call, and what came of it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from bridge_common.base.ids import is_call_id
from bridge_common.base.log import fields
from call_control.http.error_responses import ErrorReply

log = logging.getLogger("call_control.audit")
log.setLevel(logging.INFO)


@dataclass(slots=True)
class Asked:
    """What is known of one request; kept in `request.state.asked`."""

    action: str
    """The method and the path, as documented: `GET /api/calls/{call_id}`."""
    source: str = ""
    by: str = "unknown"
    logged: bool = True
    more: dict[str, object] = field(default_factory=dict)


def asked_of(request: Request) -> Asked:
    asked: Asked = request.state.asked
    return asked


def write(request: Request, response: Response | None) -> None:
    """`response`: None when the endpoint failed."""
    asked = asked_of(request)
    if not asked.logged:
        return
    status = response.status_code if response is not None else 500
    error = response.error if isinstance(response, ErrorReply) else None
    call_id = str(request.path_params.get("call_id", ""))
    log.log(
        logging.WARNING if status in (401, 403, 429) or status >= 500 else logging.INFO,
        "operator request",
        extra=fields(
            by=asked.by,
            source=asked.source,
            action=asked.action,
            call_id=call_id if is_call_id(call_id) else "",
            status=status,
            result="ok" if status < 400 else error.code if error else "internal",
            **({"reason": error.message} if error else {}),
            **asked.more,
        ),
    )
