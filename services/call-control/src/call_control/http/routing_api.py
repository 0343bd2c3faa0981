"""The operator API for the routing policy: show, change and preview it at run time. See docs/routing.md."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge_common.base.errors import InputError
from call_control.core.policy.policy_in_force import PolicyInForce
from call_control.core.policy.policy_text import MAX_BYTES, policy_of_text
from call_control.core.policy.routing_policy import encode_policy
from call_control.core.routing_preview import decode_preview, incoming_call, preview
from call_control.http.audit import audit_of
from call_control.http.error_responses import Endpoint, PreconditionRequiredError, read_body
from call_control.http.operator_access import Operators, operator_of
from call_control.routing.policy_keeper import PolicyKeeper
from call_control.routing.rule_places import RulePlaces

_ANY: Final = "*"


class RoutingApi:
    def __init__(self, keeper: PolicyKeeper, places: RulePlaces, operators: Operators) -> None:
        self._keeper = keeper
        self._places = places
        self._operators = operators

    def routes(self) -> list[Route]:
        return [
            self._route("GET", "/api/routing", self.show),
            self._route("PUT", "/api/routing", self.put),
            self._route("DELETE", "/api/routing", self.reset),
            self._route("PUT", "/api/routing/kill_switch", self.kill_switch),
            self._route("POST", "/api/routing/preview", self.preview),
            # The old name, accepted until 0.2.0.
            self._route("PUT", "/api/routing/everyone_to_people", self.kill_switch),
        ]

    async def show(self, _: Request) -> Response:
        """Return the policy in force on this replica."""
        if not self._keeper.known:
            await self._keeper.sync()
        return _shown(self._keeper.held)

    async def put(self, request: Request) -> Response:
        expected = _expected(request)
        body = await read_body(request, MAX_BYTES)
        as_json = "json" in request.headers.get("content-type", "")
        # In a thread: a large policy takes long enough to delay other requests noticeably.
        policy = await asyncio.to_thread(policy_of_text, body, as_json=as_json)
        return _changed(request, await self._keeper.change(lambda _: policy, operator_of(request), expected))

    async def reset(self, request: Request) -> Response:
        return _changed(request, await self._keeper.reset(operator_of(request), _expected(request)))

    async def kill_switch(self, request: Request) -> Response:
        body = (await read_body(request, MAX_BYTES)).strip()
        if body not in (b"true", b"false"):
            raise InputError("the body must be `true` or `false`")
        audit_of(request).more["on"] = body == b"true"
        return _changed(request, await self._keeper.switch(on=body == b"true", by=operator_of(request)))

    async def preview(self, request: Request) -> Response:
        """Return the decision for a given call, without any effect."""
        asked = decode_preview(await read_body(request, MAX_BYTES))
        routing = await self._keeper.routing()
        call = incoming_call(asked, datetime.now(UTC), routing.policy)
        shown = {"version": self._keeper.held.version, "at_ms": call.received_ms}
        options = routing.options(call)
        calls = await self._places.count([one.rule for one in options if one.max_calls])
        return JSONResponse(shown | preview(routing, call, options, calls))

    def _route(self, method: str, path: str, endpoint: Endpoint) -> Route:
        return self._operators.route(method, path, endpoint, "routing")


def _expected(request: Request) -> str:
    """Return the ETag in `If-Match`, empty for `*`. Raises `PreconditionRequiredError` if the header is missing."""
    given = request.headers.get("if-match", "").strip()
    if not given:
        raise PreconditionRequiredError(
            "the header If-Match is missing; send the ETag of the policy that this one replaces, or *"
        )
    return "" if given == _ANY else given


def _changed(request: Request, held: PolicyInForce) -> Response:
    audit_of(request).more["version"] = held.version
    return _shown(held)


def _shown(held: PolicyInForce) -> Response:
    shown = {
        "version": held.version,
        "since_ms": held.since_ms,
        "by": held.by,
        "policy": encode_policy(held.policy) if held.policy else None,
    }
    return JSONResponse(shown, headers={"ETag": held.etag})
