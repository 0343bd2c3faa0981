"""The operator API for the fleet: its processes, and the demand by which autoscalers scale each service."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge_common.store.fleet import Member
from call_control.core.fleet_demand import KINDS, KindDemand
from call_control.fleet_view import FleetView
from call_control.http.audit import audit_of
from call_control.http.error_responses import Endpoint, NotFoundError
from call_control.http.operator_access import Operators


class FleetApi:
    def __init__(self, view: FleetView, operators: Operators) -> None:
        self._view = view
        self._operators = operators

    def routes(self) -> list[Route]:
        return [self._route("/api/fleet", self.fleet), self._route("/api/fleet/{kind}", self.kind)]

    async def fleet(self, request: Request) -> Response:
        state = await self._view.read()
        kinds = {kind: demand_json(demand) for kind, demand in state.kinds.items()}
        return JSONResponse({"kinds": kinds, "processes": [process_json(member) for member in state.processes]})

    async def kind(self, request: Request) -> Response:
        # Autoscalers poll this; it contains nothing about callers.
        audit_of(request).logged = False
        kind = request.path_params["kind"]
        if kind not in KINDS:
            raise NotFoundError(f'unknown kind "{kind}"; use {", ".join(KINDS)}')
        return JSONResponse(demand_json((await self._view.read()).kinds[kind]))

    def _route(self, path: str, endpoint: Endpoint) -> Route:
        return self._operators.route("GET", path, endpoint, "fleet")


def demand_json(demand: KindDemand) -> dict[str, int]:
    return {
        "calls": demand.calls,
        "ringing": demand.ringing,
        "buffer": demand.buffer,
        "demand": demand.demand,
        "capacity": demand.capacity,
        "live": demand.live,
        "draining": demand.draining,
    }


def process_json(member: Member) -> dict[str, object]:
    return {
        "name": member.name,
        "kind": member.kind,
        "version": member.version,
        "host": member.host,
        "capacity": member.capacity,
        "calls": member.active,
        "draining": member.draining,
    }
