"""Error responses, and the limits for request bodies."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from bridge_common.base.errors import (
    AuthError,
    BridgeError,
    GoneError,
    InputError,
    OutsideError,
    PayloadTooLargeError,
)
from call_control.core.policy.policy_in_force import OutdatedError
from call_control.core.policy.policy_text import PolicyError
from call_control.http.authentication import ForbiddenError
from call_control.http.error_responses import (
    ConflictError,
    NotFoundError,
    PreconditionRequiredError,
    SlowBodyError,
    read_body,
    with_error_replies,
)


def request_of(*parts: bytes, length: str = "") -> tuple[Request, list[bytes]]:
    """Return a request whose body arrives in these parts, and the list of unread parts."""
    left = list(parts)

    async def receive() -> Message:
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    headers = [(b"content-length", length.encode())] if length else []
    return Request({"type": "http", "headers": headers, "query_string": b""}, receive), left


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("x"), 400),
        (AuthError("x"), 401),
        (ForbiddenError("x"), 403),
        (NotFoundError("x"), 404),
        (SlowBodyError("x"), 408),
        (ConflictError("x"), 409),
        (OutdatedError("x"), 412),
        (PayloadTooLargeError("x"), 413),
        (PolicyError(["x"]), 422),
        (PreconditionRequiredError("x"), 428),
        (GoneError("secret"), 500),
        (OutsideError("secret", retry=True), 503),
    ],
)
async def test_every_error_has_its_status(error: BridgeError, status: int) -> None:
    async def endpoint(_: Request) -> Response:
        raise error

    reply = await with_error_replies(endpoint, "test")(request_of(b"")[0])
    assert reply.status_code == status
    body = json.loads(bytes(reply.body))["error"]
    assert body["code"] == error.code
    assert "secret" not in body["message"]
    assert ("retry-after" in reply.headers) == (status == 503)


async def test_a_body_in_parts() -> None:
    request, _ = request_of(b"ab", b"cd")
    assert await read_body(request, limit=4) == b"abcd"


async def test_reading_stops_at_the_limit() -> None:
    request, left = request_of(b"ab", b"cd", b"ef", b"gh")
    with pytest.raises(PayloadTooLargeError):
        await read_body(request, limit=3)
    assert left == [b"ef", b"gh"]


async def test_an_announced_length_over_the_limit_is_not_read_at_all() -> None:
    request, left = request_of(b"ab", length="4")
    with pytest.raises(PayloadTooLargeError):
        await read_body(request, limit=3)
    assert left == [b"ab"]


async def test_a_client_that_disconnects() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(InputError, match="disconnected"):
        await read_body(Request({"type": "http", "headers": []}, receive))


async def test_a_slow_client() -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(SlowBodyError):
        await read_body(Request({"type": "http", "headers": []}, receive), deadline_s=0.01)
