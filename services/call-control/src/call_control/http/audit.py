"""The audit log: one line for each request to the operator API, from a separate logger, independent of LOG_LEVEL.

A line contains the operator (number of the API key, and the name in `X-Operator`), the source address, the action, the
call and the result.
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
class AuditEntry:
    """Fields of an audit line; stored in `request.state.audit` while the request runs."""

    action: str
    """Method and path as documented: `GET /api/calls/{call_id}`."""
    source: str = ""
    by: str = "unknown"
    logged: bool = True
    more: dict[str, object] = field(default_factory=dict)


def audit_of(request: Request) -> AuditEntry:
    entry: AuditEntry = request.state.audit
    return entry


def write(request: Request, response: Response | None) -> None:
    """Write the audit line of a request. `response`: `None` if the endpoint raised an exception."""
    entry = audit_of(request)
    if not entry.logged:
        return
    status = response.status_code if response is not None else 500
    error = response.error if isinstance(response, ErrorReply) else None
    call_id = str(request.path_params.get("call_id", ""))
    log.log(
        logging.WARNING if status in (401, 403, 429) or status >= 500 else logging.INFO,
        "operator request",
        extra=fields(
            by=entry.by,
            source=entry.source,
            action=entry.action,
            call_id=call_id if is_call_id(call_id) else "",
            status=status,
            result="ok" if status < 400 else error.code if error else "internal",
            **({"reason": error.message} if error else {}),
            **entry.more,
        ),
    )
