"""The operator API for calls: list, show, hang up, transfer and erase them. See docs/api.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge_common.base.errors import InputError
from bridge_common.base.ids import is_call_id
from bridge_common.store.call_store import CallStore
from bridge_common.store.inbox import Inbox
from bridge_common.wire.call_record import CallRecord, Participant, Status
from bridge_common.wire.entries import HangUp, InboxEntry, Notice, Turn
from call_control.core.events.custom_context import shown_context
from call_control.http.audit import audit_of
from call_control.http.error_responses import ConflictError, Endpoint, NotFoundError
from call_control.http.operator_access import Operators

DEFAULT_LIMIT: Final = 100
HIGHEST_LIMIT: Final = 1000
CALL_ACTIONS: Final[Mapping[str, Callable[[str], InboxEntry]]] = {
    "hangup": lambda call_id: HangUp(call_id, by="operator", reason=""),
}
"""`POST /api/calls/{call_id}/<name>`, and the inbox entry that requests the action. A new action also needs a row in
the call machine (`EventKind`, `TABLE`), and its description (docs/api.md, `OPERATIONS` of tests/repo/openapi.py)."""


class OperatorApi:
    def __init__(self, store: CallStore, inbox: Inbox, operators: Operators) -> None:
        self._store = store
        self._inbox = inbox
        self._operators = operators

    def routes(self) -> list[Route]:
        return [
            self._route("GET", "/api/calls", self.calls),
            self._route("GET", "/api/calls/{call_id}", self.call),
            self._route("DELETE", "/api/calls/{call_id}", self.erase),
            self._route("GET", "/api/calls/{call_id}/transcript", self.transcript),
            *(
                self._route("POST", f"/api/calls/{{call_id}}/{name}", self._action(request_entry))
                for name, request_entry in CALL_ACTIONS.items()
            ),
        ]

    async def calls(self, request: Request) -> Response:
        text = request.query_params.get("limit", str(DEFAULT_LIMIT))
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= HIGHEST_LIMIT):
            raise InputError(f"limit must be between 1 and {HIGHEST_LIMIT}, got {text[:20]!r}")
        records = await self._store.list_calls(int(text))
        audit_of(request).more["calls"] = len(records)
        return JSONResponse({"calls": [call_json(record) for record in records]})

    async def call(self, request: Request) -> Response:
        return JSONResponse(call_json(await self._record(request)))

    async def transcript(self, request: Request) -> Response:
        record = await self._record(request)
        entries = await self._store.read_transcript(record.call_id)
        return JSONResponse(
            {"call_id": record.call_id, "entries": [entry_json(entry_id, entry) for entry_id, entry in entries]}
        )

    def _action(self, request_entry: Callable[[str], InboxEntry]) -> Endpoint:
        async def request_action(request: Request) -> Response:
            """Request an action on the call. 202: it is in the inbox; the status of the call shows the result."""
            record = await self._record(request)
            if record.status is Status.ENDED:
                raise ConflictError("the call has already ended")
            await self._inbox.put(request_entry(record.call_id))
            return JSONResponse({"call_id": record.call_id, "status": record.status.value}, 202)

        return request_action

    async def erase(self, request: Request) -> Response:
        """Delete all data of an ended call from Redis."""
        record = await self._record(request)
        if record.status is not Status.ENDED:
            raise ConflictError("the call is still running; hang it up (POST …/hangup), then delete it")
        if record.pending or not await self._store.erase(record):
            raise ConflictError("the call has ended, but its last steps are not finished; retry in a few seconds")
        return Response(status_code=204)

    async def _record(self, request: Request) -> CallRecord:
        call_id = request.path_params["call_id"]
        record = await self._store.load(call_id) if is_call_id(call_id) else None
        if record is None:
            raise NotFoundError("unknown call, or its record has expired")
        return record

    def _route(self, method: str, path: str, endpoint: Endpoint) -> Route:
        return self._operators.route(method, path, endpoint, "operator API")


def call_json(record: CallRecord) -> dict[str, object]:
    """Return a call as the API shows it: without the incoming-call context, with which the call could be answered."""
    return {
        "call_id": record.call_id,
        "status": record.status.value,
        "caller": record.caller,
        "caller_display_name": record.caller_display_name,
        "callee": record.callee,
        "on_behalf_of": record.on_behalf_of,
        "custom_context": shown_context(record.custom_context),
        "profile": record.profile,
        "profile_version": record.profile_version,
        "route": {"rule": record.route, "reason": record.route_reason},
        "correlation_id": record.correlation_id,
        "trace_id": record.traceparent[3:35],
        "server_call_id": record.server_call_id,
        "connection_id": record.connection_id,
        "transfer": {"action_id": record.transfer, "stage": record.transfer_stage.value},
        "participants": [participant_json(one) for one in record.participants],
        "caller_on_hold": record.caller_on_hold,
        "caller_muted": record.caller_muted,
        "conversation_id": record.conversation_id,
        "voice_session_id": record.voice_session_id,
        "voice_ready": record.voice_ready,
        "media_seen": record.media_seen,
        "greeted": record.greeted,
        "created_ms": record.created_ms,
        "answered_ms": record.answered_ms,
        "connected_ms": record.connected_ms,
        "ended_ms": record.ended_ms,
        "end_reason": record.end_reason,
    }


def participant_json(participant: Participant) -> dict[str, object]:
    shown = dataclasses.asdict(participant)
    del shown["invitation_id"]
    return shown


def entry_json(entry_id: str, entry: Turn | Notice) -> dict[str, object]:
    kind = "turn" if isinstance(entry, Turn) else "notice"
    return {"id": entry_id, "kind": kind, **asdict(entry)}
