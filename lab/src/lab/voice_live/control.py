"""The control API beside the simulated service: what the agent answers, what sessions did, which faults to inject."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.control_errors import bad_body
from lab.scenario import Agent
from lab.voice_live.injected_faults import VoiceLiveFaults
from lab.voice_live.resource import KeptSession, Resource
from lab.voice_live.unsupported_by_voice_live import IGNORED, SIMPLIFIED

Endpoint = Callable[[Request], Awaitable[Response]]


class CloseOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    code: int = Field(default=1001, ge=1000, le=4999)
    reason: str = Field(default="session_expired", max_length=120)


def control_routes(resource: Resource) -> list[Route]:
    control = _Control(resource)
    return [
        Route("/healthz", control.healthz),
        Route("/lab/agent", control.get_agent),
        Route("/lab/agent", control.set_agent, methods=["PUT"]),
        Route("/lab/agents", control.agents),
        Route("/lab/agents/{name}", control.set_named_agent, methods=["PUT"]),
        Route("/lab/agents/{name}", control.delete_named_agent, methods=["DELETE"]),
        Route("/lab/faults", control.get_faults),
        Route("/lab/faults", control.set_faults, methods=["PUT"]),
        Route("/lab/faults", control.clear_faults, methods=["DELETE"]),
        Route("/lab/handshakes", control.handshakes),
        Route("/lab/quota", control.quota),
        Route("/lab/sessions", control.sessions),
        Route("/lab/sessions/{id}", control.session),
        Route("/lab/sessions/{id}/agent", control.set_sessions_agent, methods=["PUT"]),
        Route("/lab/sessions/{id}/marks", control.marks),
        Route("/lab/sessions/{id}/speech/{item_id}", control.speech),
        Route("/lab/sessions/{id}/drop", control.drop, methods=["POST"]),
        Route("/lab/sessions/{id}/mute", control.mute, methods=["POST"]),
        Route("/lab/sessions/{id}/close", control.close, methods=["POST"]),
        Route("/lab/unsupported", control.unsupported),
    ]


class _Control:
    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    async def healthz(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def get_agent(self, _request: Request) -> Response:
        return JSONResponse(self._resource.agent.model_dump(mode="json"))

    async def set_agent(self, request: Request) -> Response:
        """What sessions opened from now on do."""
        try:
            self._resource.agent = Agent.model_validate_json(await request.body())
        except ValidationError as error:
            return bad_body(error, Agent)
        return await self.get_agent(request)

    async def agents(self, _request: Request) -> Response:
        return JSONResponse({name: agent.model_dump(mode="json") for name, agent in self._resource.agents.items()})

    async def set_named_agent(self, request: Request) -> Response:
        """For connections that name it (`x-lab-agent`, `?lab-agent=`), or whose agent or model has this name."""
        try:
            agent = Agent.model_validate_json(await request.body())
        except ValidationError as error:
            return bad_body(error, Agent)
        self._resource.agents[request.path_params["name"]] = agent
        return JSONResponse(agent.model_dump(mode="json"))

    async def delete_named_agent(self, request: Request) -> Response:
        gone = self._resource.agents.pop(request.path_params["name"], None)
        return Response(status_code=204) if gone else JSONResponse({"error": "no such agent"}, status_code=404)

    async def set_sessions_agent(self, request: Request) -> Response:
        """For one session that is open already."""
        session = self._find(request)
        if session is None:
            return _missing()
        try:
            agent = Agent.model_validate_json(await request.body())
        except ValidationError as error:
            return bad_body(error, Agent)
        if session.follow(agent):
            return JSONResponse(agent.model_dump(mode="json"))
        return JSONResponse({"error": "echo and marks are chosen before a session begins"}, status_code=409)

    async def unsupported(self, _request: Request) -> Response:
        """What is accepted without its effect, and how often the kept sessions used it."""
        used: Counter[str] = Counter()
        for session in self._resource.sessions.values():
            used.update(session.record.pretended)
        return JSONResponse(
            [
                {"where": one.field, "what": one.effect, "used": used[one.field], "refused_when_strict": one in IGNORED}
                for one in IGNORED + SIMPLIFIED
            ]
        )

    async def get_faults(self, _request: Request) -> Response:
        return JSONResponse(self._resource.faults.model_dump(mode="json", exclude_none=True))

    async def set_faults(self, request: Request) -> Response:
        """Replaces all faults; their counts begin anew."""
        try:
            self._resource.faults = VoiceLiveFaults.model_validate_json(await request.body())
        except ValidationError as error:
            return bad_body(error, VoiceLiveFaults)
        return await self.get_faults(request)

    async def clear_faults(self, _request: Request) -> Response:
        self._resource.faults = VoiceLiveFaults()
        return Response(status_code=204)

    async def handshakes(self, _request: Request) -> Response:
        """The handshakes that were answered with an HTTP status."""
        return JSONResponse({"refused": self._resource.refused_handshakes})

    async def quota(self, _request: Request) -> Response:
        """Connections of the last minute, and how many there were at most in one."""
        quota = self._resource.quota
        counted = quota.counted(time.monotonic())
        return JSONResponse({"per_minute": quota.per_minute, "counted": counted, "most": quota.most})

    async def sessions(self, _request: Request) -> Response:
        return JSONResponse({"sessions": [session.record.summary() for session in self._resource.sessions.values()]})

    async def session(self, request: Request) -> Response:
        session = self._find(request)
        if session is None:
            return _missing()
        return JSONResponse(session.record.to_json() | {"now": time.monotonic()})

    async def marks(self, request: Request) -> Response:
        session = self._find(request)
        if session is None:
            return _missing()
        record = session.record
        marks = {"sent": record.marks_sent, "heard": record.marks_heard, "shift_ms": record.marks_shift_ms}
        return JSONResponse(marks | {"interrupted_at": record.interrupted_at})

    async def speech(self, request: Request) -> Response:
        session = self._find(request)
        audio = session.record.speech.get(request.path_params["item_id"]) if session else None
        return _missing() if audio is None else Response(bytes(audio), media_type="application/octet-stream")

    async def drop(self, request: Request) -> Response:
        session = self._find(request)
        if session is None:
            return _missing()
        session.drop()
        return Response(status_code=204)

    async def mute(self, request: Request) -> Response:
        session = self._find(request)
        if session is None:
            return _missing()
        session.mute()
        return Response(status_code=204)

    async def close(self, request: Request) -> Response:
        session = self._find(request)
        if session is None:
            return _missing()
        try:
            order = CloseOrder.model_validate_json(await request.body() or b"{}")
        except ValidationError as error:
            return bad_body(error, CloseOrder)
        await session.close(order.code, order.reason)
        return Response(status_code=204)

    def _find(self, request: Request) -> KeptSession | None:
        return self._resource.sessions.get(request.path_params["id"])


def _missing() -> Response:
    return JSONResponse({"error": "no such session"}, status_code=404)
