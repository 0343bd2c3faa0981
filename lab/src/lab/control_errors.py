"""Errors of the simulators' control routes, in one form: `{"error": …}` with a text, or with a list of texts for a body
that is not accepted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from lab.yaml_mistakes import explain

Handler: TypeAlias = Callable[[Request, Exception], Awaitable[Response]]


def reasons(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """A text for each fault of a body, with the known keys where one is unknown."""
    return explain(error, model, None, {})


def bad_body(error: ValidationError, model: type[BaseModel]) -> Response:
    return JSONResponse({"error": reasons(error, model)}, status_code=400)


async def _not_found(request: Request, _: Exception) -> Response:
    return JSONResponse({"error": f"there is no path {request.url.path}"}, status_code=404)


async def _method_not_allowed(request: Request, _: Exception) -> Response:
    """With the methods of all routes of the path; starlette knows those of the first one only."""
    methods: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    allowed = ", ".join(sorted(methods))
    error = f"{request.method} is not supported here; use {allowed}"
    return JSONResponse({"error": error}, 405, {"Allow": allowed})


HTTP_ERRORS: Final[Mapping[Any, Handler]] = {404: _not_found, 405: _method_not_allowed}
"""For the application of each simulator."""
