"""Call Automation's REST API for tests of call-control: it behaves like ACS, and tests can inject faults.

Unlike the simulator in `lab.acs` it does not validate requests. It counts operations.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.lab_server import running

ACCESS_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
STALE_CONTEXT = (
    "IDX23010: Lifetime validation of the signed http request failed. Current time: '11/22/2026 5:00:40 AM' UTC, "
    "signed http request is valid until: '11/22/2026 5:00:31 AM' UTC"
)
_OK = {"answer": 200, "reject": 204, "redirect": 204, "look up": 200, "terminate": 204}


@dataclass(slots=True)
class Asked:
    """One received request."""

    operation: str
    body: dict[str, object]
    headers: dict[str, str]
    connection_id: str = ""

    @property
    def request_id(self) -> str:
        return self.headers.get("repeatability-request-id", "")


@dataclass(slots=True)
class Twist:
    """A fault for the next request of an operation. `status` 0: it succeeds, but the response takes `delay_s`."""

    status: int = 0
    code: str = ""
    message: str = ""
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


class ScriptedAcs:
    """The server. `asked`: all requests; `done`: completed operations, without repeats of the same request."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.asked: list[Asked] = []
        self.done: Counter[str] = Counter()
        self.connections: dict[str, str] = {}
        """Connection ids by incoming-call context."""
        self.state = "connecting"
        self.participants: list[dict[str, object]] = []
        """The result of `participants`: `{"identifier": …, "isMuted": …, "isOnHold": …}`."""
        self.jwks: dict[str, object] = {"keys": []}
        self._twists: dict[str, deque[Twist]] = defaultdict(deque)
        self._replies: dict[str, Response] = {}
        self._terminated: set[str] = set()

    def script(self, operation: str, *twists: Twist) -> None:
        self._twists[operation].extend(twists)

    def of(self, operation: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.operation == operation]

    @property
    def connection_string(self) -> str:
        return f"endpoint={self.endpoint}/;accesskey={ACCESS_KEY}"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ScriptedAcs]:
        routes = [
            Route("/calling/keys", self._keys),
            Route("/calling/{rest:path}", self._ask, methods=["GET", "POST", "DELETE"]),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes), host="127.0.0.1", port=0, lifespan="off", access_log=False, log_config=None
        )
        async with running(config) as address:
            self.endpoint = f"http://{address}"
            yield self

    async def _keys(self, _: Request) -> Response:
        return JSONResponse(self.jwks)

    async def _ask(self, request: Request) -> Response:
        path = request.path_params["rest"]
        connection_id, _, part = path.partition("/")[2].partition(":")[0].partition("/")
        operation = path.rpartition(":")[2] if ":" in path else part or "look up"
        body = await request.json() if await request.body() else {}
        asked = Asked(operation, body, dict(request.headers), connection_id)
        self.asked.append(asked)
        twist = self._twists[operation].popleft() if self._twists[operation] else Twist()
        if twist.status:
            error = {"error": {"code": twist.code, "message": twist.message}}
            return JSONResponse(error, twist.status, twist.headers)
        reply = self._replies.get(asked.request_id) if asked.request_id else None
        if reply is None:
            reply = self._carry_out(asked)
            self._replies[asked.request_id] = reply
        await asyncio.sleep(twist.delay_s)
        return reply

    def _carry_out(self, asked: Asked) -> Response:
        if asked.connection_id in self._terminated:
            return JSONResponse({"error": {"code": "8522", "message": "Call not found."}}, 404)
        if asked.operation == "terminate":
            self._terminated.add(asked.connection_id)
        self.done[asked.operation] += 1
        if asked.operation == "transferToParticipant":
            return JSONResponse({"operationContext": asked.body.get("operationContext")}, 202)
        if asked.operation == "participants":
            return JSONResponse({"value": self.participants})
        if asked.operation == "add":
            invited = {"participant": {"identifier": asked.body["participantToAdd"]}, "invitationId": "invitation-1"}
            return JSONResponse(invited | {"operationContext": asked.body.get("operationContext")}, 202)
        if asked.operation not in ("answer", "look up"):
            return Response(status_code=_OK.get(asked.operation, 202))
        if asked.operation == "answer":
            asked.connection_id = str(uuid.uuid4())
            self.connections[str(asked.body["incomingCallContext"])] = asked.connection_id
        properties = {"callConnectionId": asked.connection_id, "callConnectionState": self.state, "targets": []}
        return JSONResponse(properties)
