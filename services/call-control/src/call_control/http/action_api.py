"""`/api/calls/{call_id}/actions`: request actions on a running call, and read their state (docs/api.md)."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from dataclasses import asdict
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bridge_common.base.errors import InputError
from bridge_common.base.ids import is_call_id
from bridge_common.store.call_store import CallStore
from bridge_common.store.inbox import Inbox
from bridge_common.wire.action_kinds import DISPOSITION, NOTE, OPERATOR, fault_of
from bridge_common.wire.call_record import CallAction, CallRecord, Status
from bridge_common.wire.entries import Act
from bridge_common.wire.json_object import decode_object
from call_control.core.machine.action_book import target_name
from call_control.core.machine.action_limits import limit_fault
from call_control.core.policy.transfer_targets import unknown_target
from call_control.http.audit import audit_of
from call_control.http.error_responses import ConflictError, NotFoundError, UnknownTargetError, read_body
from call_control.http.operator_access import Operators
from call_control.routing.route_choice import RoutingSource

_MAX_BODY: Final = 16 * 1024
_MAX_KEY: Final = 200
WRAP_UP_S: Final = 3600
"""How long operators may add notes and the disposition after the end of a call."""


class ActionApi:
    def __init__(self, store: CallStore, inbox: Inbox, routing: RoutingSource, operators: Operators) -> None:
        self._store = store
        self._inbox = inbox
        self._routing = routing
        self._operators = operators

    def routes(self) -> list[Route]:
        path = "/api/calls/{call_id}/actions"
        return [
            self._operators.route("GET", path, self.actions, "operator API"),
            self._operators.route("POST", path, self.act, "operator API"),
            self._operators.route("GET", f"{path}/{{action_id}}", self.action, "operator API"),
        ]

    async def actions(self, request: Request) -> Response:
        record = await self._record(request)
        return JSONResponse({"call_id": record.call_id, "actions": [action_json(one) for one in record.actions]})

    async def action(self, request: Request) -> Response:
        record = await self._record(request)
        action = _find(record, request.path_params["action_id"])
        if action is None:
            raise NotFoundError("the call has no action with this id")
        return JSONResponse(action_json(action))

    async def act(self, request: Request) -> Response:
        """Request an action. 202: the request is stored. A repeated `Idempotency-Key` returns the first action."""
        record = await self._record(request)
        action, arguments = _read(await read_body(request, _MAX_BODY))
        if fault := fault_of(action, arguments):
            raise InputError(fault)
        action_id = _action_id(record.call_id, request.headers.get("idempotency-key", ""))
        known = _find(record, action_id)
        if known is not None:
            if (known.kind, known.arguments) != (action, arguments):
                raise ConflictError("this Idempotency-Key was used for another action of the call")
            return JSONResponse(action_json(known), 202)
        now_ms = round(time.time() * 1000)
        if fault := _status_fault(record, action, now_ms):
            raise ConflictError(fault)
        targets = (await self._routing.routing()).targets
        if fault := unknown_target(action, json.loads(arguments), targets):
            raise UnknownTargetError(fault)
        act = Act(record.call_id, action_id, action, arguments, OPERATOR)
        if limit := limit_fault(record, action, act.by, now_ms):
            raise ConflictError(f"{limit}; POST /api/calls/{{call_id}}/hangup still hangs up")
        await self._inbox.put_once(act, f"action:{action_id}")
        requested = CallAction(action_id, action, arguments, act.by, now_ms)
        name = target_name(requested)
        audit_of(request).more.update(requested=action, action_id=action_id, **({"target": name} if name else {}))
        return JSONResponse(action_json(requested), 202)

    async def _record(self, request: Request) -> CallRecord:
        call_id = request.path_params["call_id"]
        record = await self._store.load(call_id) if is_call_id(call_id) else None
        if record is None:
            raise NotFoundError("unknown call, or its record has expired")
        return record


def action_json(action: CallAction) -> dict[str, object]:
    shown = asdict(action)
    del shown["operation"]
    return {
        "action_id": shown.pop("id"),
        "action": shown.pop("kind"),
        **shown,
        "arguments": json.loads(action.arguments),
    }


def _status_fault(record: CallRecord, action: str, now_ms: int) -> str:
    """Return why the action is not possible in this status of the call, "" if it is possible."""
    if record.status is Status.CONNECTED:
        return ""
    if action not in (NOTE, DISPOSITION) or record.status not in (Status.ENDING, Status.ENDED):
        return f"the call is {record.status.value}; actions need a connected call"
    late = record.ended_ms > 0 and now_ms - record.ended_ms > 1000 * WRAP_UP_S
    return f"the call ended more than {WRAP_UP_S // 3600} h ago; its record is complete" if late else ""


def _find(record: CallRecord, action_id: str) -> CallAction | None:
    return next((action for action in record.actions if action.id == action_id), None)


def _read(body: bytes) -> tuple[str, str]:
    """Decode the body: name of the action, and its arguments as canonical JSON text. Raises `InputError`."""
    given = decode_object(body, "the body")
    action = given.pop("action", None)
    if not isinstance(action, str):
        raise InputError("`action` is missing or not a string")
    return action, json.dumps(given, sort_keys=True, separators=(",", ":"))


def _action_id(call_id: str, key: str) -> str:
    """Return the action id: the same for the same key, a new one without a key."""
    if len(key) > _MAX_KEY:
        raise InputError(f"Idempotency-Key must have at most {_MAX_KEY} characters")
    digest = hashlib.sha256(f"{call_id}\n{key}".encode()).hexdigest()[:16] if key else secrets.token_hex(8)
    return f"act_{digest}"
