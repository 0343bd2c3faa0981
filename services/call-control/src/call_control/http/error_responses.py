"""Reads request bodies, and returns errors as problem details (RFC 9457). Codes: docs/api.md."""

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
from bridge_common.service.http_responses import PROBLEM_JSON, problem
from call_control.core.policy.policy_in_force import OutdatedError
from call_control.core.policy.policy_text import PolicyError
from call_control.http.authentication import ForbiddenError

log = logging.getLogger(__name__)
log.addFilter(LineLimit(per_s=5, burst=20))

MAX_BODY_BYTES: Final = 256 * 1024
BODY_DEADLINE_S: Final = 10.0
RETRY_AFTER_S: Final = 2

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


class NotFoundError(InputError):
    code = "not_found"


class ConflictError(InputError):
    code = "conflict"


class UnknownTargetError(InputError):
    code = "unknown_target"


class InterruptedSayError(ConflictError):
    code = "interrupted"


class PreconditionRequiredError(InputError):
    code = "precondition_required"


class SlowBodyError(InputError):
    code = "request_timeout"


class UnsupportedMediaError(InputError):
    code = "unsupported_media_type"


class BusyError(InputError):
    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


STATUS: Final[tuple[tuple[type[BridgeError], int], ...]] = (
    (PayloadTooLargeError, 413),
    (NotFoundError, 404),
    (ConflictError, 409),
    (SlowBodyError, 408),
    (OutdatedError, 412),
    (UnsupportedMediaError, 415),
    (PolicyError, 422),
    (UnknownTargetError, 422),
    (PreconditionRequiredError, 428),
    (BusyError, 429),
    (InputError, 400),
    (ForbiddenError, 403),
    (AuthError, 401),
    (OutsideError, 503),
)
"""Status by error class: the first class that matches applies; other errors are a 500."""


_CODES: Final = frozenset({BridgeError.code, InterruptedSayError.code, *(error.code for error, _ in STATUS)})
_REFUSED = counter(
    "bridge_requests_refused", "Refused HTTP requests, by endpoint and error code",
    Label("endpoint", most=32), Label("code", _CODES, most=16),
)  # fmt: skip


class ErrorReply(JSONResponse):
    """An error as a response. `error`: for the log; the body of a 5xx does not contain its message."""

    def __init__(
        self, error: BridgeError, body: dict[str, object], status: int, headers: dict[str, str], media_type: str
    ) -> None:
        super().__init__(body, status, headers, media_type)
        self.error = error


def with_error_replies(endpoint: Endpoint, name: str, *, logs: bool = True, media_type: str = PROBLEM_JSON) -> Endpoint:
    """Wrap `endpoint`, so that a `BridgeError` becomes an error response. `name`: of the endpoint in logs and metrics.
    `logs`: false if the caller logs rejected requests. `media_type`: of the response, for clients that know only JSON.
    """

    for code in _CODES:
        _REFUSED.labels(name, code)

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except BridgeError as error:
            status = next((status for cls, status in STATUS if isinstance(error, cls)), 500)
            _REFUSED.labels(name, error.code).inc()
            if logs:
                log.warning(
                    "request refused",
                    extra=fields(endpoint=name, status=status, code=error.code, reason=error.message),
                )
            return error_reply(status, error, media_type)

    return answer


def error_reply(status: int, error: BridgeError, media_type: str = PROBLEM_JSON) -> Response:
    headers, message = {}, error.message
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
        message = "temporarily unavailable; retry after the time in Retry-After"
    elif status == 500:
        message = "internal error; see the log of the service for the cause"
    elif status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, BusyError):
        headers["Retry-After"] = str(error.retry_after_s)
    more = {"mistakes": list(error.mistakes)} if isinstance(error, PolicyError) else {}
    return ErrorReply(error, problem(status, error.code, message, **more), status, headers, media_type)


async def read_body(request: Request, limit: int = MAX_BODY_BYTES, *, deadline_s: float = BODY_DEADLINE_S) -> bytes:
    """Read the request body. Raises `PayloadTooLargeError` as soon as it is known to exceed `limit`, `SlowBodyError`
    after `deadline_s`, and `InputError` if the client disconnects.
    """
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise PayloadTooLargeError(f"the body has {length} bytes; at most {limit} are allowed")
    body = bytearray()
    try:
        async with asyncio.timeout(deadline_s):
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    raise PayloadTooLargeError(f"the body has more than {limit} bytes")
    except TimeoutError as error:
        raise SlowBodyError(f"the body did not arrive within {deadline_s:.0f} s") from error
    except ClientDisconnect as error:
        raise InputError("the client disconnected before the body was complete") from error
    return bytes(body)
