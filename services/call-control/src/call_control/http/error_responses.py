"""How requests are read and errors are told: JSON `{"error": {"code", "message"}}`, never a stack trace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from bridge_common.base.errors import AuthError, BridgeError, InputError, OutsideError, PayloadTooLargeError
from bridge_common.base.log import fields
from bridge_common.base.log_limit import LineLimit
from bridge_common.observability.telemetry import Label, counter
from bridge_common.service.http_responses import error_body
from call_control.core.policy.policy_in_force import OutdatedError
from call_control.core.policy.routing_policy import PolicyError
from call_control.http.authentication import ForbiddenError

log = logging.getLogger(__name__)
log.addFilter(LineLimit(per_s=5, burst=20))

MAX_BODY_BYTES: Final = 256 * 1024
BODY_DEADLINE_S: Final = 10.0
RETRY_AFTER_S: Final = 2

_REFUSED = counter(
    "bridge_requests_refused", "HTTP requests that were not taken, by endpoint and error",
    Label("endpoint", most=32), Label("code", most=64),
)  # fmt: skip

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


class NotFoundError(InputError):
    code = "not_found"


class ConflictError(InputError):
    code = "conflict"


class InterruptedSayError(ConflictError):
    code = "interrupted"


class PreconditionRequiredError(InputError):
    code = "precondition_required"


class SlowBodyError(InputError):
    code = "request_timeout"


class UnsupportedMediaError(InputError):
    code = "unsupported_media_type"


class BusyError(InputError):
    """Too much at once; becomes 429."""

    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


_STATUS: Final[tuple[tuple[type[BridgeError], int], ...]] = (
    (PayloadTooLargeError, 413),
    (NotFoundError, 404),
    (ConflictError, 409),
    (SlowBodyError, 408),
    (OutdatedError, 412),
    (UnsupportedMediaError, 415),
    (PolicyError, 422),
    (PreconditionRequiredError, 428),
    (BusyError, 429),
    (InputError, 400),
    (ForbiddenError, 403),
    (AuthError, 401),
    (OutsideError, 503),
)


class ErrorReply(JSONResponse):
    """`error`: for the log; the body of a 5xx does not contain its message."""

    def __init__(self, error: BridgeError, body: dict[str, object], status: int, headers: dict[str, str]) -> None:
        super().__init__(body, status, headers)
        self.error = error


def telling(endpoint: Endpoint, name: str, *, logs: bool = True) -> Endpoint:
    """The endpoint, with our errors turned into replies. `name`: for logs and metrics. `logs`: False if the caller
    logs refused requests.
    """

    async def told(request: Request) -> Response:
        try:
            return await endpoint(request)
        except BridgeError as error:
            status = next((status for cls, status in _STATUS if isinstance(error, cls)), 500)
            _REFUSED.labels(name, error.code).inc()
            if logs:
                log.warning(
                    "request refused",
                    extra=fields(endpoint=name, status=status, code=error.code, reason=error.message),
                )
            return error_reply(status, error)

    return told


def error_reply(status: int, error: BridgeError) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
    if isinstance(error, BusyError):
        headers["Retry-After"] = str(error.retry_after_s)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    # What Redis or ACS said stays in the log.
    message = "try again in a moment" if status >= 500 else error.message
    more = {"mistakes": list(error.mistakes)} if isinstance(error, PolicyError) else {}
    return ErrorReply(error, error_body(error.code, message, **more), status, headers)


async def read_body(request: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """The body; raises `PayloadTooLargeError` as soon as it is known to be over the limit."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise PayloadTooLargeError(f"the body has {length} bytes, {limit} are allowed")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_DEADLINE_S):
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    raise PayloadTooLargeError(f"the body has more than {limit} bytes")
    except TimeoutError as error:
        raise SlowBodyError(f"the body took longer than {BODY_DEADLINE_S:.0f} s") from error
    except ClientDisconnect as error:
        raise InputError("the sender went away before its body was complete") from error
    return bytes(body)
