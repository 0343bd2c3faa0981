"""The routing policy for operators: see what is in force, change it at run time. docs/routing.md."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge_common.base.errors import InputError
from call_control.core.policy.policy_in_force import PolicyInForce
from call_control.core.policy.policy_text import MAX_BYTES, policy_of_text
from call_control.core.policy.routing_policy import encode_policy
from call_control.http.audit import asked_of
from call_control.http.error_responses import Endpoint, PreconditionRequiredError, read_body
from call_control.http.operator_access import Operators, operator_of
from call_control.routing.policy_keeper import PolicyKeeper

_ANY: Final = "*"


class RoutingApi:
    def __init__(self, desk: PolicyKeeper, operators: Operators) -> None:
        self._desk = desk
        self._operators = operators

    def routes(self) -> list[Route]:
        return [
            self._route("GET", "/api/routing", self.show),
            self._route("PUT", "/api/routing", self.put),
            self._route("DELETE", "/api/routing", self.reset),
            self._route("PUT", "/api/routing/everyone_to_people", self.kill_switch),
        ]

    async def show(self, _: Request) -> Response:
        """What is in force on the replica that answers."""
        if not self._desk.known:
            await self._desk.sync()
        return _shown(self._desk.held)

    async def put(self, request: Request) -> Response:
        expected = _expected(request)
        body = await read_body(request, MAX_BYTES)
        as_json = "json" in request.headers.get("content-type", "")
        # Reading a large policy takes long enough to be heard on the line of others.
        policy = await asyncio.to_thread(policy_of_text, body, as_json=as_json)
        return _changed(request, await self._desk.change(lambda _: policy, operator_of(request), expected))

    async def reset(self, request: Request) -> Response:
        return _changed(request, await self._desk.reset(operator_of(request), _expected(request)))

    async def kill_switch(self, request: Request) -> Response:
        """Body `true` or `false`; the rest of the policy stays as it is, whoever changed it last."""
        body = (await read_body(request, MAX_BYTES)).strip()
        if body not in (b"true", b"false"):
            raise InputError("the body is `true` or `false`")
        asked_of(request).more["on"] = body == b"true"
        return _changed(request, await self._desk.switch(on=body == b"true", by=operator_of(request)))

    def _route(self, method: str, path: str, endpoint: Endpoint) -> Route:
        return self._operators.route(method, path, endpoint, "routing")


def _expected(request: Request) -> str:
    """The ETag that has to be in force still, empty for any."""
    given = request.headers.get("if-match", "").strip()
    if not given:
        raise PreconditionRequiredError("send If-Match with the ETag of the policy that this one replaces, or with *")
    return "" if given == _ANY else given


def _changed(request: Request, held: PolicyInForce) -> Response:
    asked_of(request).more["version"] = held.version
    return _shown(held)


def _shown(held: PolicyInForce) -> Response:
    shown = {
        "version": held.version,
        "since_ms": held.since_ms,
        "by": held.by,
        "policy": encode_policy(held.policy) if held.policy else None,
    }
    return JSONResponse(shown, headers={"ETag": held.etag})
