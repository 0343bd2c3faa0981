"""The route of the media sockets: `/ws/{call_id}/{token}`. Accepts within milliseconds, then authenticates the peer.

ACS gives up on a handshake after about a second, so checks that need Redis or a key server come after it; an
unauthorized peer is closed with 1008 (ACS documentation: secure webhook endpoint, WebSocket part). A gateway that is
full or draining does not accept at all: 503, so that ACS or call-control connects again, to another gateway.
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
from bridge_common.service.http_responses import error_response
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
"""Path of the media sockets. `path` is `<call id>/<token>`."""
TRY_AGAIN_LATER: Final = 1013
CONNECTION_HEADER: Final = "x-ms-call-connection-id"
_FULL: Final = error_response(
    503, "unavailable", "this gateway accepts no further media sockets; connect again", {"Retry-After": "1"}
)
_NO_UPGRADE: Final = error_response(400, "bad_request", "this path accepts only WebSocket connections")


class MediaSockets:
    """`token_keys`: keys of the tokens in media URLs."""

    def __init__(self, context: SocketContext, tokens: JwtVerifier, token_keys: Sequence[str]) -> None:
        self._context = context
        self._token_keys = token_keys
        self._tokens = tokens

    def routes(self) -> Sequence[BaseRoute]:
        return [WebSocketRoute(PATH, self._endpoint), Route(PATH, _no_upgrade)]

    async def _endpoint(self, websocket: WebSocket) -> None:
        call_id, _, token = websocket.path_params["path"].partition("/")
        if full := self._context.admission.full(call_id):
            _note_refused("503", call_id, full)
            await websocket.send_denial_response(_FULL)
            return
        async with accepted(websocket, self._context.limits.close_s) as socket:
            await self._serve(socket, call_id, token, websocket.headers)

    async def _serve(self, socket: FrameSocket, call_id: str, token: str, headers: Headers) -> None:
        admission = self._context.admission
        try:
            await self._check(socket, call_id, token, headers)
            refusal = admission.refusal(call_id)
            if refusal:
                _refuse(socket, TRY_AGAIN_LATER, call_id, refusal)
                return
            with admission.opening():
                session = MediaSession(socket, await self._attach(call_id, headers), self._context)
                admission.enter(call_id, session)
        except (AuthError, GoneError) as error:
            _refuse(socket, POLICY, call_id, error.message)
        except OutsideError as error:
            _refuse(socket, INTERNAL, call_id, error.message)
        else:
            await session.run()

    async def _check(self, socket: FrameSocket, call_id: str, token: str, headers: Headers) -> None:
        """Authenticate the peer. Raises `AuthError`, or `OutsideError` if the signing keys of ACS are unavailable."""
        if not is_call_id(call_id):
            raise AuthError("the path has no valid call id; expected /ws/<call id>/<token>")
        media_token.check(self._token_keys, call_id, token, time.time())
        socket.trust()
        await self._tokens.check(headers.get("authorization"))

    async def _attach(self, call_id: str, headers: Headers) -> MediaGrant:
        grant = await self._context.store.attach_media(call_id)
        if grant is None:
            raise GoneError("the call does not exist or has ended")
        connection_id = headers.get(CONNECTION_HEADER, "")
        if connection_id and grant.record.connection_id and connection_id != grant.record.connection_id:
            # A reconnected call has another leg with another id, so the socket is accepted.
            log.warning(
                "media socket belongs to another leg of the call; accepted",
                extra=fields(call_id=call_id, connection_id=connection_id),
            )
        return grant


async def _no_upgrade(_: Request) -> Response:
    return _NO_UPGRADE


def _refuse(socket: FrameSocket, code: int, call_id: str, reason: str) -> None:
    """Close a socket that is not accepted. The peer receives only the code."""
    _note_refused(str(code), call_id, reason)
    socket.close(code)


def _note_refused(code: str, call_id: str, reason: str) -> None:
    metrics.SOCKETS.labels(code).inc()
    shown = call_id if is_call_id(call_id) else "?"
    log.warning("media socket refused", extra=fields(call_id=shown, code=int(code), reason=reason))
