"""The door for ACS: `/ws/{call_id}/{token}`. Accepts within milliseconds, then checks who is there.

ACS gives up on a handshake that takes about a second, so whatever needs Redis or a key server comes after it; who may
not come in is closed with 1008 (ACS documentation: secure webhook endpoint, WebSocket part).
"""

from __future__ import annotations

import logging
import time
from typing import Final

from bridge_common.auth.acs_jwt import JwtVerifier
from bridge_common.base.errors import AuthError, GoneError, OutsideError
from bridge_common.base.ids import is_call_id
from bridge_common.base.log import fields
from bridge_common.base.log_limit import LineLimit
from bridge_common.service.settings import revealed
from bridge_common.store.call_store import MediaGrant
from bridge_common.wire import media_token
from media_gateway import metrics
from media_gateway.socket.media_session import INTERNAL, POLICY, MediaSession
from media_gateway.socket.web_socket import WebSocket
from media_gateway.socket_context import SocketContext

log = logging.getLogger(__name__)
log.addFilter(LineLimit(per_s=5, burst=20))

PATH: Final = "/ws/"
"""What follows is `<call id>/<token>`."""
TRY_AGAIN_LATER: Final = 1013
CONNECTION_HEADER: Final = "x-ms-call-connection-id"


class MediaSockets:
    def __init__(self, around: SocketContext, tokens: JwtVerifier) -> None:
        self._around = around
        self._tokens = tokens

    async def serve(self, websocket: WebSocket) -> None:
        call_id, _, token = websocket.path.partition("/")
        admission = self._around.admission
        try:
            await self._check(websocket, call_id, token)
            refusal = admission.refusal(call_id)
            if refusal:
                self._refuse(websocket, TRY_AGAIN_LATER, call_id, refusal)
                return
            with admission.opening():
                session = MediaSession(websocket, await self._attach(websocket, call_id), self._around)
                admission.enter(call_id, session)
        except (AuthError, GoneError) as error:
            self._refuse(websocket, POLICY, call_id, error.message)
        except OutsideError as error:
            self._refuse(websocket, INTERNAL, call_id, error.message)
        else:
            await session.run()

    async def _check(self, websocket: WebSocket, call_id: str, token: str) -> None:
        """Raises `AuthError`, or `OutsideError` when ACS's keys cannot be had."""
        if not is_call_id(call_id):
            raise AuthError("this is no call id")
        keys = revealed(self._around.settings.media_token_keys)
        media_token.check(keys, call_id, token, time.time())
        websocket.trust()
        await self._tokens.check(websocket.headers.get("authorization"))

    async def _attach(self, websocket: WebSocket, call_id: str) -> MediaGrant:
        grant = await self._around.store.attach_media(call_id)
        if grant is None:
            raise GoneError("no such call, or it has ended")
        told = websocket.headers.get(CONNECTION_HEADER, "")
        if told and grant.record.connection_id and told != grant.record.connection_id:
            # A call that was connected anew has another leg with another id, so this alone is no reason to refuse.
            log.warning("media socket of another leg", extra=fields(call_id=call_id, connection_id=told))
        return grant

    def _refuse(self, websocket: WebSocket, code: int, call_id: str, reason: str) -> None:
        """The reason goes to our log; the peer gets only the code."""
        metrics.SOCKETS.labels(str(code)).inc()
        shown = call_id if is_call_id(call_id) else "?"
        log.warning("media socket refused", extra=fields(call_id=shown, code=code, reason=reason))
        websocket.close(code)
