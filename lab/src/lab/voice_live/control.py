"""Control API of the simulated Voice Live: agent scripts, sessions, faults."""

from __future__ import annotations

import io
import time
import wave
from collections.abc import Awaitable, Callable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.control_errors import ControlError, decode_body
from lab.scenario import Agent
from lab.voice_live import mcp_client
from lab.voice_live.injected_faults import VoiceLiveFaults
from lab.voice_live.resource import KeptSession, Resource

Endpoint = Callable[[Request], Awaitable[Response]]


class CloseOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")
    code: int = Field(default=1001, ge=1000, le=4999)
    reason: str = Field(default="session_expired", max_length=120)


class ApiKeys(BaseModel):
    model_config = ConfigDict(extra="forbid")
    api_keys: tuple[Annotated[str, Field(min_length=1)], ...] = Field(max_length=2)


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
        Route("/lab/api-keys", control.set_api_keys, methods=["PUT"]),
        Route("/lab/handshakes", control.handshakes),
        Route("/lab/quota", control.quota),
        Route("/lab/sessions", control.sessions),
        Route("/lab/sessions/{id}", control.session),
        Route("/lab/sessions/{id}/agent", control.set_sessions_agent, methods=["PUT"]),
        Route("/lab/sessions/{id}/heard.wav", control.heard),
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
        self._resource.agent = await _decode_agent(request)
        return await self.get_agent(request)

    async def agents(self, _request: Request) -> Response:
        return JSONResponse({name: agent.model_dump(mode="json") for name, agent in self._resource.agents.items()})

    async def set_named_agent(self, request: Request) -> Response:
        """Set the script of connections that select it by name (`x-lab-agent`, `?lab-agent=`), or whose agent or model
        has this name.
        """
        agent = await _decode_agent(request)
        self._resource.agents[request.path_params["name"]] = agent
        return JSONResponse(agent.model_dump(mode="json"))

    async def delete_named_agent(self, request: Request) -> Response:
        name = request.path_params["name"]
        if self._resource.agents.pop(name, None) is None:
            raise ControlError(404, f"unknown agent {name!r}")
        return Response(status_code=204)

    async def set_sessions_agent(self, request: Request) -> Response:
        session = self._find(request)
        agent = await decode_body(request, Agent)
        if not session.follow(agent):
            raise ControlError(409, "an open session cannot change to or from echo and marks; open a new session")
        return JSONResponse(agent.model_dump(mode="json"))

    async def unsupported(self, _request: Request) -> Response:
        return JSONResponse(self._resource.unsupported.json())

    async def get_faults(self, _request: Request) -> Response:
        return JSONResponse(self._resource.faults.model_dump(mode="json", exclude_none=True))

    async def set_faults(self, request: Request) -> Response:
        """Replace all faults and reset their counters."""
        self._resource.faults = await decode_body(request, VoiceLiveFaults)
        return await self.get_faults(request)

    async def clear_faults(self, _request: Request) -> Response:
        self._resource.faults = VoiceLiveFaults()
        return Response(status_code=204)

    async def set_api_keys(self, request: Request) -> Response:
        """Replace the accepted API keys. Open sessions stay open."""
        self._resource.api_keys = (await decode_body(request, ApiKeys)).api_keys
        return Response(status_code=204)

    async def handshakes(self, _request: Request) -> Response:
        return JSONResponse({"refused": self._resource.refused_handshakes})

    async def quota(self, _request: Request) -> Response:
        quota = self._resource.quota
        counted = quota.counted(time.monotonic())
        return JSONResponse({"per_minute": quota.per_minute, "counted": counted, "most": quota.most})

    async def sessions(self, _request: Request) -> Response:
        return JSONResponse({"sessions": [session.record.summary() for session in self._resource.sessions.values()]})

    async def session(self, request: Request) -> Response:
        return JSONResponse(self._find(request).record.to_json() | {"now": time.monotonic()})

    async def marks(self, request: Request) -> Response:
        record = self._find(request).record
        marks = {"sent": record.marks_sent, "heard": record.marks_heard, "shift_ms": record.marks_shift_ms}
        return JSONResponse(marks | {"interrupted_at": record.interrupted_at})

    async def speech(self, request: Request) -> Response:
        item_id = request.path_params["item_id"]
        audio = self._find(request).record.speech.get(item_id)
        if audio is None:
            raise ControlError(404, f"the session has sent no audio for item {item_id!r}")
        return Response(bytes(audio), media_type="application/octet-stream")

    async def heard(self, request: Request) -> Response:
        """Return the audio that the session got; only with an agent script that keeps it."""
        record = self._find(request).record
        if not record.heard:
            raise ControlError(404, "the session has kept no audio; set `keep_audio` in the agent script")
        out = io.BytesIO()
        with wave.open(out, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(record.heard_rate_hz)
            writer.writeframes(bytes(record.heard))
        return Response(out.getvalue(), media_type="audio/wav")

    async def drop(self, request: Request) -> Response:
        self._find(request).drop()
        return Response(status_code=204)

    async def mute(self, request: Request) -> Response:
        self._find(request).mute()
        return Response(status_code=204)

    async def close(self, request: Request) -> Response:
        session = self._find(request)
        order = await decode_body(request, CloseOrder, default=b"{}")
        await session.close(order.code, order.reason)
        return Response(status_code=204)

    def _find(self, request: Request) -> KeptSession:
        session = self._resource.sessions.get(request.path_params["id"])
        if session is None:
            raise ControlError(404, f"unknown session {request.path_params['id']!r}")
        return session


async def _decode_agent(request: Request) -> Agent:
    agent = await decode_body(request, Agent)
    if any(reply.mcp is not None for reply in agent.replies):
        await mcp_client.load()  # before the call, whose timing it would change
    return agent
