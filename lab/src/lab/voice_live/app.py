"""The simulated Voice Live as a program: WebSocket, control API, server configuration."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from lab.control_errors import HTTP_ERRORS
from lab.simulator import http_server, log, run_simulator
from lab.tls import Tls
from lab.unsupported import PretendedError
from lab.voice_live import server_events
from lab.voice_live.client_connection import ReachableProtocol, connection_of
from lab.voice_live.control import control_routes
from lab.voice_live.handshake import HandshakeError, HandshakeRequest, Mode, VoiceAgentMode, admit
from lab.voice_live.record import SessionRecord
from lab.voice_live.resource import Resource
from lab.voice_live.server_events import RefusedError
from lab.voice_live.session import SimulatedSession
from lab.voice_live.session_config import initial_session
from lab.voice_live.settings import VoiceLiveSettings
from lab.voice_live.unsupported_by_voice_live import pretended_in_query, refusal

MAX_MESSAGE_BYTES = 24 * 1024 * 1024
"""Maximum message size: 15 MiB of audio as base64, plus the text around it."""


def create_app(settings: VoiceLiveSettings) -> Starlette:
    """Return the application. Serve it with `server_config`: dropping connections requires its protocol class."""
    resource = Resource(settings)

    async def voice_live(websocket: WebSocket) -> None:
        await _connect(websocket, resource)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            ticking = tasks.create_task(resource.ticker.run())
            yield
            ticking.cancel()
            resource.tools.stop()

    # All paths are routed here: clients append the path of the service to the path of their endpoint.
    routes = [*control_routes(resource), WebSocketRoute("/{path:path}", voice_live)]
    return Starlette(routes=routes, exception_handlers=HTTP_ERRORS, lifespan=lifespan)


def server_config(settings: VoiceLiveSettings, tls: Tls | None = None) -> uvicorn.Config:
    """Return the uvicorn configuration. Deflate is off: it costs more CPU than it saves for base64 PCM, and clients do
    not require it.
    """
    return http_server(
        create_app(settings),
        settings.host,
        settings.port,
        tls,
        ws=ReachableProtocol,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
    )


def main(argv: Sequence[str] = ()) -> int:
    about = "A simulated Voice Live resource."
    return run_simulator("voice-live", about, VoiceLiveSettings, server_config, argv)


async def _connect(websocket: WebSocket, resource: Resource) -> None:
    received_at = time.monotonic()
    handshake = HandshakeRequest(websocket.url.path, dict(websocket.query_params), dict(websocket.headers))
    try:
        admitted = _admit(handshake, resource)
    except HandshakeError as error:
        facts: dict[str, object] = {"status": error.status, "reason": error.reason, "path": handshake.path}
        resource.refused_handshakes.append({"t": time.monotonic(), **facts})
        log.info("handshake rejected", extra={"facts": facts})
        body = {"error": {"code": error.code, "message": error.reason}}
        await websocket.send_denial_response(JSONResponse(body, error.status, error.headers))
        connection_of(websocket).note_refused()
        return
    await websocket.accept("realtime" if isinstance(admitted, VoiceAgentMode) else None)
    if isinstance(admitted, RefusedError):
        await _refuse(websocket, admitted, resource.settings.agent_error_close_code)
        return
    agent = resource.agent_for(admitted, handshake.script)
    session = SimulatedSession(
        websocket, resource, _new_record(handshake, admitted, resource, received_at, agent.mode), agent
    )
    resource.keep(session)
    await session.run()


def _admit(handshake: HandshakeRequest, resource: Resource) -> Mode | RefusedError:
    """Return the kind of session for a handshake, after injected faults and the quota. Raises `HandshakeError`."""
    faults = resource.faults
    if faults.handshake is not None and faults.handshake.take():
        raise HandshakeError(faults.handshake.status, "injected fault", faults.handshake.retry_after_s or 0)
    admitted = admit(handshake, resource.credentials(time.time()))
    if handshake.script and handshake.script not in resource.agents:
        raise HandshakeError(
            404, f"unknown agent script {handshake.script!r}; add it with PUT /lab/agents/{handshake.script}"
        )
    if isinstance(admitted, VoiceAgentMode) and resource.agent_for(admitted, handshake.script).definition.disabled:
        raise HandshakeError(409, f"The agent {admitted.name} is disabled", code="agent_disabled")
    now = time.monotonic()
    if not resource.quota.take(now):
        after_s = math.ceil(resource.quota.next_at - now) if resource.settings.quota_retry_after else 0
        raise HandshakeError(429, "Too many new connections in the last minute", after_s)
    if faults.refuse is not None and faults.refuse.take():
        return RefusedError(faults.refuse.message, faults.refuse.code, fatal=True)
    try:
        resource.unsupported.used(*pretended_in_query(handshake.query))
    except PretendedError as error:
        return refusal(error)
    return admitted


async def _refuse(websocket: WebSocket, refused: RefusedError, close_code: int) -> None:
    log.info("session rejected", extra={"facts": {"code": refused.code, "message": refused.message}})
    try:
        await websocket.send_text(server_events.encode_event(server_events.error(refused)))
        await websocket.close(close_code, refused.message[:120])
    except WebSocketDisconnect:
        pass


def _new_record(
    handshake: HandshakeRequest, mode: Mode, resource: Resource, received_at: float, script: str
) -> SessionRecord:
    conversation, resumed = resource.conversation_for(mode)
    session_id = server_events.new_id("sess")
    record = SessionRecord(session_id, mode, script, conversation, resumed)
    record.client_request_id = handshake.headers.get("x-ms-client-request-id") or handshake.query.get(
        "x-ms-client-request-id"
    )
    record.pretended.update(pretended_in_query(handshake.query))
    record.openai_beta = handshake.headers.get("openai-beta")
    record.ga_names = resource.settings.ga_event_names or mode.ga
    expires_at_s = int(time.time() + resource.settings.session_max_s)
    record.session = initial_session(session_id, mode, expires_at_s)
    record.note(received_at, "connected", mode=record.kind, resumed=resumed)
    return record
