"""The two doors that Azure knocks at. What is good goes into the inbox before 200 is said; no more is done here."""

from __future__ import annotations

import logging
import time
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge_common.acs_jwt import JwtVerifier
from bridge_common.entries import Callback, IncomingCall
from bridge_common.errors import InputError
from bridge_common.ids import call_id_of, is_call_id
from bridge_common.inbox import Inbox
from bridge_common.log import fields
from call_control import metrics
from call_control.authentication import EventGridGuard
from call_control.core.callbacks import AcsEvent, decode_callbacks
from call_control.core.event_grid import IncomingCallEvent, ValidationRequest, decode_events
from call_control.core.events import KNOWN_CALLBACKS
from call_control.replies import NotFoundError, read_body, telling

log = logging.getLogger(__name__)

_ANY_RATE: Final = "*"


class Webhooks:
    def __init__(self, inbox: Inbox, grid_guard: EventGridGuard, acs_tokens: JwtVerifier) -> None:
        self._inbox = inbox
        self._grid_guard = grid_guard
        self._acs_tokens = acs_tokens

    def routes(self) -> list[Route]:
        return [
            Route("/api/incomingCall", telling(self.incoming_call, "incomingCall"), methods=["POST"]),
            Route("/api/incomingCall", telling(self.consent, "handshake"), methods=["OPTIONS"]),
            Route("/api/callbacks/{call_id}", telling(self.callbacks, "callbacks"), methods=["POST"]),
        ]

    async def consent(self, request: Request) -> Response:
        """The CloudEvents handshake: may this origin deliver here? (Event Grid docs, "Endpoint validation")."""
        self._grid_guard.check_secret(request)
        origin = request.headers.get("webhook-request-origin", "")
        if not origin:
            raise InputError("WebHook-Request-Origin is missing")
        headers = {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": _ANY_RATE, "Allow": "POST, OPTIONS"}
        return Response(status_code=200, headers=headers)

    async def incoming_call(self, request: Request) -> Response:
        await self._grid_guard.check(request)
        received_ms = round(time.time() * 1000)
        events = decode_events(await read_body(request))
        for event in events:
            if isinstance(event, IncomingCallEvent):
                await self._admit(event, received_ms)
        validation = next((event for event in events if isinstance(event, ValidationRequest)), None)
        if validation is not None:
            log.info("event subscription validated")
            return JSONResponse({"validationResponse": validation.code})
        return JSONResponse({"received": len(events)})

    async def callbacks(self, request: Request) -> Response:
        await self._acs_tokens.check(request.headers.get("authorization"))
        call_id = request.path_params["call_id"]
        if not is_call_id(call_id):
            raise NotFoundError("no call has such an id")
        events = decode_callbacks(await read_body(request))
        for event in events:
            await self._pass_on(call_id, event)
        return JSONResponse({"received": len(events)})

    async def _admit(self, event: IncomingCallEvent, received_ms: int) -> None:
        entry = IncomingCall(
            call_id=call_id_of(event.correlation_id),
            event_id=event.event_id,
            caller=event.caller,
            callee=event.callee,
            incoming_call_context=event.incoming_call_context,
            correlation_id=event.correlation_id,
            server_call_id=event.server_call_id,
            received_ms=received_ms,
        )
        fresh = await self._inbox.put_once(entry, f"grid:{event.event_id}", f"correlation:{event.correlation_id}")
        metrics.WEBHOOK_EVENTS.labels("IncomingCall", "new" if fresh else "duplicate").inc()
        if not fresh:
            log.info("incoming call was delivered again", extra=fields(call_id=entry.call_id))

    async def _pass_on(self, call_id: str, event: AcsEvent) -> None:
        if event.type not in KNOWN_CALLBACKS:
            metrics.WEBHOOK_EVENTS.labels("other", "ignored").inc()
            log.debug("callback ignored", extra=fields(call_id=call_id, type=event.type))
            return
        entry = Callback(call_id=call_id, event_id=event.id, type=event.type, data=event.data)
        fresh = await self._inbox.put_once(entry, f"callback:{call_id}:{event.id}")
        metrics.WEBHOOK_EVENTS.labels(event.type, "new" if fresh else "duplicate").inc()
        log.debug(
            "callback received",
            extra=fields(call_id=call_id, type=event.type, code=event.code, sub_code=event.sub_code, fresh=fresh),
        )
