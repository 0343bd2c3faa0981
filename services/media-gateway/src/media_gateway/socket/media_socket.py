"""The route for ACS: `/ws/{call_id}/{token}`. Accepts within milliseconds, then checks who is there.

ACS gives up on a handshake that takes about a second, so whatever needs Redis or a key server comes after it; a peer
that is not allowed is closed with 1008 (ACS documentation: secure webhook endpoint, WebSocket part).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from bridge_common.auth.acs_jwt import JwtVerifier
from bridge_common.base.errors import AuthError, GoneError, OutsideError
from bridge_common.base.ids import is_call_id
from bridge_common.base.log import fields
from bridge_common.base.log_limit import LineLimit
from bridge_common.service.error_body import error_answer
from bridge_common.service.settings import revealed
from bridge_common.store.call_store import MediaGrant
from bridge_common.wire import media_token
from media_gateway import metrics
from media_gateway.socket.acs_receiver import POLICY
from media_gateway.socket.frame_socket import INTERNAL, FrameSocket
from media_gateway.socket.media_session import MediaSession
from media_gateway.socket.message_socket import accepted
from media_gateway.socket_context import SocketContext

log = logging.getLogger(__name__)
log.addFilter(LineLimit(per_s=5, burst=20))

PATH: Final = "/ws/{path:path}"
"""`path` is `<call id>/<token>`."""
TRY_AGAIN_LATER: Final = 1013
CONNECTION_HEADER: Final = "x-ms-call-connection-id"
_NO_UPGRADE: Final = error_answer(400, "bad_request", "this path takes WebSocket connections only")


class MediaSockets:
    def __init__(self, around: SocketContext, tokens: JwtVerifier) -> None:
        self._around = around
        self._tokens = tokens

    def routes(self) -> Sequence[BaseRoute]:
        return [WebSocketRoute(PATH, self._endpoint), Route(PATH, _no_upgrade)]

    async def _endpoint(self, websocket: WebSocket) -> None:
        call_id, _, token = websocket.path_params["path"].partition("/")
        async with accepted(websocket) as socket:
            await self._serve(socket, call_id, token, websocket.headers)

    async def _serve(self, socket: FrameSocket, call_id: str, token: str, headers: Headers) -> None:
        admission = self._around.admission
        try:
            await self._check(socket, call_id, token, headers)
            refusal = admission.refusal(call_id)
            if refusal:
                _refuse(socket, TRY_AGAIN_LATER, call_id, refusal)
                return
            with admission.opening():
                session = MediaSession(socket, await self._attach(call_id, headers), self._around)
                admission.enter(call_id, session)
        except (AuthError, GoneError) as error:
            _refuse(socket, POLICY, call_id, error.message)
        except OutsideError as error:
            _refuse(socket, INTERNAL, call_id, error.message)
        else:
            await session.run()

    async def _check(self, socket: FrameSocket, call_id: str, token: str, headers: Headers) -> None:
        """Raises `AuthError`, or `OutsideError` when ACS's keys cannot be had."""
        if not is_call_id(call_id):
            raise AuthError("this is not a call id")
        keys = revealed(self._around.settings.media_token_keys)
        media_token.check(keys, call_id, token, time.time())
        socket.trust()
        await self._tokens.check(headers.get("authorization"))

    async def _attach(self, call_id: str, headers: Headers) -> MediaGrant:
        grant = await self._around.store.attach_media(call_id)
        if grant is None:
            raise GoneError("no such call, or it has ended")
        told = headers.get(CONNECTION_HEADER, "")
        if told and grant.record.connection_id and told != grant.record.connection_id:
            # A call that was connected again has another leg with another id, so this alone is no reason to refuse.
            log.warning("media socket of another leg", extra=fields(call_id=call_id, connection_id=told))
        return grant


async def _no_upgrade(_: Request) -> Response:
    return Response(_NO_UPGRADE.body, _NO_UPGRADE.status, media_type=_NO_UPGRADE.content_type)


def _refuse(socket: FrameSocket, code: int, call_id: str, reason: str) -> None:
    """The reason goes to our log; the peer gets only the code."""
    metrics.SOCKETS.labels(str(code)).inc()
    shown = call_id if is_call_id(call_id) else "?"
    log.warning("media socket refused", extra=fields(call_id=shown, code=code, reason=reason))
    socket.close(code)
