"""Errors of the control routes of all simulators: `{"error": …}` with a string, or with a list of strings for an
invalid body.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from lab.yaml_mistakes import explain

Handler: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]
ModelT = TypeVar("ModelT", bound=BaseModel)


class ControlError(Exception):
    """A control request that fails with this status. `reason` becomes the body `{"error": reason}`."""

    def __init__(self, status: int, reason: str | list[str]) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


async def decode_body(request: Request, model: type[ModelT], *, default: bytes = b"") -> ModelT:
    """Decode and validate a JSON body. Raises `ControlError` with a list of all faults; for an unknown key it includes
    the known keys.
    """
    try:
        return model.model_validate_json(await request.body() or default)
    except ValidationError as error:
        raise ControlError(400, explain(error, model, None, {})) from error


async def _control_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ControlError)
    return JSONResponse({"error": error.reason}, status_code=error.status)


async def _not_found(request: Request, _: Exception) -> Response:
    return JSONResponse({"error": f"unknown path {request.url.path}"}, status_code=404)


async def _method_not_allowed(request: Request, _: Exception) -> Response:
    """Answer 405 with the methods of all routes of the path. Starlette lists only those of the first route."""
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    allowed = ", ".join(sorted(methods))
    error = f"{request.method} is not supported by {request.url.path}; use {allowed}"
    return JSONResponse({"error": error}, 405, {"Allow": allowed})


HTTP_ERRORS: Final[Mapping[Any, Handler]] = {404: _not_found, 405: _method_not_allowed, ControlError: _control_error}
"""Exception handlers for the application of each simulator."""
