"""A small business with an HTTP API and an MCP server for the tools of agents: orders, appointments to book once,
payments.

Errors of the business are normal answers (404 for an unknown order). Other failures are injected.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import uvicorn
from pydantic import BaseModel, ConfigDict, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.business_mcp import BusinessMcp
from lab.control_errors import HTTP_ERRORS, decode_body
from lab.environment import Port, SimulatorSettings
from lab.simulator import http_server, log, run_simulator
from lab.tls import Tls
from lab.voice_live.injected_faults import InjectedFault, due

ORDERS: Final = {"42": "on its way", "43": "being packed", "44": "delivered"}


@dataclass(frozen=True)
class BusinessSettings(SimulatorSettings):
    host: str = "127.0.0.1"
    port: Port = 8094
    journal: str = ""
    """File that keeps the appointments across restarts; empty: they are lost with the process."""


class BusinessFault(InjectedFault):
    """`paths`: only requests with such a text in their path, or MCP tools with such a text in their name."""

    paths: tuple[str, ...] = ()

    def concerns(self, path: str) -> bool:
        return not self.paths or any(one in path for one in self.paths)


class AnswerDelay(BusinessFault):
    delay_s: float = Field(ge=0, le=600)


F = TypeVar("F", bound=BusinessFault)


class RefusedRequest(BusinessFault):
    status: int = Field(ge=400, le=599)
    retry_after_s: int | None = Field(default=None, ge=0, le=600)


class BusinessFaults(BaseModel):
    """`slow`: works after a delay. `late`: works at once and answers after a delay, when the client may be gone.
    `failing`: this status without any work. `never`: no answer until the client closes the connection.
    """

    model_config = ConfigDict(extra="forbid")
    slow: AnswerDelay | None = None
    late: AnswerDelay | None = None
    failing: RefusedRequest | None = None
    never: BusinessFault | None = None


@dataclass
class _Business:
    faults: BusinessFaults = field(default_factory=BusinessFaults)
    requests: list[dict[str, object]] = field(default_factory=list)
    appointments: dict[str, dict[str, object]] = field(default_factory=dict)
    """By idempotency key."""
    payments: dict[str, dict[str, object]] = field(default_factory=dict)
    """By idempotency key, with the full card number: the tests look here for what a tool has received."""
    journal: Path | None = None

    def restore(self) -> None:
        """Read the appointments of earlier processes."""
        if self.journal is not None and self.journal.exists():
            for line in self.journal.read_text().splitlines():
                self.appointments.update(json.loads(line))

    def _book(self, key: str, day: str, call_id: str) -> dict[str, object]:
        number = len(self.appointments) + 1
        key = key or f"without-key-{number}"
        if key not in self.appointments:
            self.appointments[key] = {"number": number, "day": day, "call_id": call_id}
            if self.journal is not None:
                with self.journal.open("a") as journal:
                    journal.write(json.dumps({key: self.appointments[key]}) + "\n")
        return self.appointments[key]

    async def order(self, request: Request) -> Response:
        number = str(request.path_params["number"])

        def look_up() -> Response:
            if number not in ORDERS:
                return JSONResponse({"error": f"there is no order {number}"}, 404)
            return JSONResponse({"order": number, "state": ORDERS[number]})

        return await self._answer(request, look_up)

    async def book(self, request: Request) -> Response:
        """The same appointment for the same `Idempotency-Key`."""
        try:
            wanted = json.loads(await request.body())
        except ValueError:
            wanted = None
        key = request.headers.get("idempotency-key", "")

        def note_down() -> Response:
            if not isinstance(wanted, dict) or not isinstance(wanted.get("day"), str):
                return JSONResponse({"error": "`day` is missing"}, 400)
            booked = self._book(key, wanted["day"], request.headers.get("x-call-id", ""))
            return JSONResponse({"number": booked["number"], "day": booked["day"]}, 201)

        return await self._answer(request, note_down)

    async def pay(self, request: Request) -> Response:
        """One payment for each `Idempotency-Key`. The answer repeats the card number, as careless services do."""
        try:
            wanted = json.loads(await request.body())
        except ValueError:
            wanted = None
        key = request.headers.get("idempotency-key", "")

        def charge() -> Response:
            card = wanted.get("card_number") if isinstance(wanted, dict) else None
            if not isinstance(card, str) or not 13 <= len(card) <= 19:
                return JSONResponse({"error": "`card_number` must have 13 to 19 digits"}, 400)
            self.payments.setdefault(key or f"without-key-{len(self.payments) + 1}", dict(wanted))
            grouped = " ".join(card[at : at + 4] for at in range(0, len(card), 4))
            return JSONResponse({"paid": True, "card": grouped}, 201)

        return await self._answer(request, charge)

    async def _answer(self, request: Request, work: Callable[[], Response]) -> Response:
        noted: dict[str, object] = {
            "t": time.monotonic(),
            "method": request.method,
            "path": request.url.path,
            "key": request.headers.get("idempotency-key", ""),
            "call_id": request.headers.get("x-call-id", ""),
            "signed": "webhook-signature" in request.headers,
            "status": 0,
        }
        self.requests.append(noted)
        faults, path = self.faults, request.url.path
        if _due(faults.never, path) is not None:
            await _until_gone(request)
            return Response(status_code=499)
        if (failing := _due(faults.failing, path)) is not None:
            headers = {} if failing.retry_after_s is None else {"Retry-After": str(failing.retry_after_s)}
            noted["status"] = failing.status
            return JSONResponse({"error": "injected fault"}, failing.status, headers)
        if (slow := _due(faults.slow, path)) is not None:
            await asyncio.sleep(slow.delay_s)
        answer = work()
        if (late := _due(faults.late, path)) is not None:
            await asyncio.sleep(late.delay_s)
        noted["status"] = answer.status_code
        log.info("request answered", extra={"path": request.url.path, "status": answer.status_code})
        return answer

    async def use_tool(self, name: str, arguments: Mapping[str, object]) -> tuple[str, bool]:
        """Execute a tool of the MCP server. Return the text of the result, and whether it is an error."""
        noted: dict[str, object] = {"t": time.monotonic(), "method": "MCP", "path": name, "status": 0}
        self.requests.append(noted | {"key": "", "call_id": "", "signed": False})
        faults, number = self.faults, str(arguments.get("number", ""))
        if _due(faults.never, name) is not None:
            await asyncio.get_running_loop().create_future()
        if _due(faults.failing, name) is not None:
            return "injected fault", True
        if (slow := _due(faults.slow, name)) is not None:
            await asyncio.sleep(slow.delay_s)
        if number not in ORDERS:
            return f"there is no order {number}", True
        state = "canceled" if name == "cancel_order" else ORDERS[number]
        return json.dumps({"order": number, "state": state}), False

    async def list_requests(self, _: Request) -> Response:
        booked, paid = list(self.appointments.values()), list(self.payments.values())
        return JSONResponse({"requests": self.requests, "appointments": booked, "payments": paid})

    async def get_faults(self, _: Request) -> Response:
        return JSONResponse(self.faults.model_dump(mode="json", exclude_defaults=True))

    async def set_faults(self, request: Request) -> Response:
        self.faults = await decode_body(request, BusinessFaults)
        return await self.get_faults(request)

    async def clear_faults(self, _: Request) -> Response:
        self.faults = BusinessFaults()
        return Response(status_code=204)


def _due(fault: F | None, path: str) -> F | None:
    return due(fault) if fault is not None and fault.concerns(path) else None


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _healthz(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


def create_app(settings: BusinessSettings) -> Starlette:
    business = _Business(journal=Path(settings.journal) if settings.journal else None)
    business.restore()
    mcp = BusinessMcp(business.use_tool)

    async def start_mcp(_: Request) -> Response:
        await mcp.started()
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        mcp.stop()

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/mcp", mcp),
            Route("/lab/mcp", start_mcp),
            Route("/orders/{number}", business.order),
            Route("/appointments", business.book, methods=["POST"]),
            Route("/payments", business.pay, methods=["POST"]),
            Route("/lab/requests", business.list_requests),
            Route("/lab/faults", business.get_faults),
            Route("/lab/faults", business.set_faults, methods=["PUT"]),
            Route("/lab/faults", business.clear_faults, methods=["DELETE"]),
            Route("/healthz", _healthz),
        ],
        exception_handlers=HTTP_ERRORS,
    )


def server_config(settings: BusinessSettings, tls: Tls | None = None) -> uvicorn.Config:
    return http_server(create_app(settings), settings.host, settings.port, tls)


def main(argv: Sequence[str] = ()) -> int:
    about = "A small business with an HTTP API for function tools."
    return run_simulator("business", about, BusinessSettings, server_config, argv)
