"""Webhooks of Event Grid and ACS. A valid event is stored in the inbox before the response 200."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge_common.auth.acs_jwt import JwtVerifier
from bridge_common.base.errors import InputError
from bridge_common.base.ids import is_call_id
from bridge_common.base.log import fields
from bridge_common.base.log_limit import LineLimit
from bridge_common.store.inbox import Inbox
from bridge_common.wire.entries import Callback, IncomingCall
from call_control import metrics
from call_control.core.events.callbacks import AcsEvent, decode_callbacks
from call_control.core.events.event_grid import ValidationRequest, decode_events
from call_control.core.events.json_fields import BadEvent, Ignored
from call_control.core.machine.call_events import KNOWN_CALLBACKS
from call_control.http.authentication import EventGridGuard
from call_control.http.error_responses import NotFoundError, read_body, with_error_replies

log = logging.getLogger(__name__)
log.addFilter(LineLimit(per_s=5, burst=20))

_ANY_RATE: Final = "*"


class Webhooks:
    def __init__(self, inbox: Inbox, grid_guard: EventGridGuard, acs_tokens: JwtVerifier) -> None:
        self._inbox = inbox
        self._grid_guard = grid_guard
        self._acs_tokens = acs_tokens

    def routes(self) -> list[Route]:
        return [
            Route("/api/incomingCall", with_error_replies(self.incoming_call, "incomingCall"), methods=["POST"]),
            Route("/api/incomingCall", with_error_replies(self.handshake, "handshake"), methods=["OPTIONS"]),
            Route("/api/callbacks/{call_id}", with_error_replies(self.callbacks, "callbacks"), methods=["POST"]),
        ]

    async def handshake(self, request: Request) -> Response:
        """Respond to the CloudEvents handshake: allow the sender to deliver (Event Grid docs, "Endpoint
        validation").
        """
        self._grid_guard.check_secret(request)
        origin = request.headers.get("webhook-request-origin", "")
        if not origin:
            raise InputError("the header WebHook-Request-Origin is missing")
        headers = {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": _ANY_RATE, "Allow": "POST, OPTIONS"}
        return Response(status_code=200, headers=headers)

    async def incoming_call(self, request: Request) -> Response:
        await self._grid_guard.check(request)
        received_ms = round(time.time() * 1000)
        events = decode_events(await read_body(request), received_ms)
        for event in events:
            if isinstance(event, IncomingCall):
                await self._accept_call(event)
            elif isinstance(event, Ignored):
                _ignore(event.type)
        refused = _count_refused(events, "incomingCall")
        validation = next((event for event in events if isinstance(event, ValidationRequest)), None)
        if validation is not None:
            log.info("event subscription validated")
            return JSONResponse({"validationResponse": validation.code})
        return _received(len(events), refused)

    async def callbacks(self, request: Request) -> Response:
        await self._acs_tokens.check(request.headers.get("authorization"))
        call_id = request.path_params["call_id"]
        if not is_call_id(call_id):
            raise NotFoundError("the path does not contain a valid call id")
        events = decode_callbacks(await read_body(request))
        for event in events:
            if isinstance(event, AcsEvent) and event.type in KNOWN_CALLBACKS:
                await self._accept_callback(call_id, event)
            elif isinstance(event, AcsEvent | Ignored):
                _ignore(event.type, call_id)
        return _received(len(events), _count_refused(events, "callbacks", call_id))

    async def _accept_call(self, call: IncomingCall) -> None:
        seen = [f"grid:{call.event_id}"] if call.event_id else []
        fresh = await self._inbox.put_once(call, *seen, f"correlation:{call.correlation_id or call.call_id}")
        metrics.WEBHOOK_EVENTS.labels("IncomingCall", "new" if fresh else "duplicate").inc()
        if not fresh:
            log.info("duplicate IncomingCall event ignored", extra=fields(call_id=call.call_id))

    async def _accept_callback(self, call_id: str, event: AcsEvent) -> None:
        entry = Callback(call_id=call_id, event_id=event.id, type=event.type, data=event.data)
        fresh = await self._inbox.put_once(entry, f"callback:{call_id}:{event.id}")
        metrics.WEBHOOK_EVENTS.labels(event.type, "new" if fresh else "duplicate").inc()
        log.debug(
            "callback received",
            extra=fields(call_id=call_id, type=event.type, code=event.code, sub_code=event.sub_code, fresh=fresh),
        )


def _ignore(type_: str, call_id: str = "") -> None:
    metrics.WEBHOOK_EVENTS.labels("other", "ignored").inc()
    log.debug("webhook event ignored", extra=fields(call_id=call_id, type=type_))


def _count_refused(events: Sequence[object], endpoint: str, call_id: str = "") -> int:
    """Count the invalid events. Log one line per request, with the first reason: a batch may have thousands."""
    bad = [event for event in events if isinstance(event, BadEvent)]
    if bad:
        metrics.WEBHOOK_EVENTS.labels("other", "refused").inc(len(bad))
        log.warning(
            "webhook events refused",
            extra=fields(
                endpoint=endpoint, call_id=call_id, refused=len(bad), received=len(events), reason=bad[0].reason
            ),
        )
    return len(bad)


def _received(events: int, refused: int) -> Response:
    """Return 200 even if some events are invalid: Event Grid does not redeliver a batch after a 400, and the valid
    events are already stored.
    """
    return JSONResponse({"received": events - refused} | ({"refused": refused} if refused else {}))
