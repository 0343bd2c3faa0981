"""The routing policy for operators: see what is in force, change it at run time. docs/routing.md."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge_common.errors import InputError
from call_control.authentication import OperatorGuard
from call_control.core.policy_in_force import PolicyInForce
from call_control.core.policy_text import MAX_BYTES, policy_of_text
from call_control.core.routing_policy import Policy, PolicyError, encode_policy
from call_control.replies import Endpoint, PreconditionRequiredError, read_body, telling
from call_control.routing_desk import RoutingDesk

_ANY: Final = "*"
_OPERATOR: Final = re.compile(r"[\w .@-]{1,64}")


class RoutingApi:
    def __init__(self, desk: RoutingDesk, guard: OperatorGuard) -> None:
        self._desk = desk
        self._guard = guard

    def routes(self) -> list[Route]:
        return [
            Route("/api/routing", self._for_operators(self.show), methods=["GET"]),
            Route("/api/routing", self._for_operators(self.put), methods=["PUT"]),
            Route("/api/routing", self._for_operators(self.reset), methods=["DELETE"]),
            Route("/api/routing/everyone_to_people", self._for_operators(self.kill_switch), methods=["PUT"]),
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
        return _shown(await self._desk.change(lambda _: policy, self._who(request), expected))

    async def reset(self, request: Request) -> Response:
        return _shown(await self._desk.reset(self._who(request), _expected(request)))

    async def kill_switch(self, request: Request) -> Response:
        """Body `true` or `false`; the rest of the policy stays as it is, whoever changed it last."""
        body = (await read_body(request, MAX_BYTES)).strip()
        if body not in (b"true", b"false"):
            raise InputError("the body is `true` or `false`")
        on = body == b"true"

        def switched(policy: Policy | None) -> Policy:
            if policy is None or (on and policy.people is None):
                raise PolicyError(["people: the policy in force does not say who they are"])
            return policy.model_copy(update={"everyone_to_people": on})

        return _shown(await self._desk.change(switched, self._who(request)))

    def _who(self, request: Request) -> str:
        """Which key, and the name that the request gives itself."""
        name = request.headers.get("x-operator", "")
        if name and not _OPERATOR.fullmatch(name):
            raise InputError("X-Operator is a name of at most 64 letters, digits, spaces and . @ _ -")
        return f"operator {name}".strip() + f" (API key {self._guard.check(request)})"

    def _for_operators(self, endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            self._guard.check(request)
            return await endpoint(request)

        return telling(guarded, "routing")


def _expected(request: Request) -> str:
    """The ETag that has to be in force still, empty for any."""
    given = request.headers.get("if-match", "").strip()
    if not given:
        raise PreconditionRequiredError("send If-Match with the ETag of the policy that this one replaces, or with *")
    return "" if given == _ANY else given


def _shown(held: PolicyInForce) -> Response:
    shown = {
        "version": held.version,
        "since_ms": held.since_ms,
        "by": held.by,
        "policy": encode_policy(held.policy) if held.policy else None,
    }
    return JSONResponse(shown, headers={"ETag": held.etag})
