"""docs/openapi.json: call-control's HTTP interface, generated from its routes, record types and errors.

python -m tests.repo.openapi    # writes the file again
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.routing import Route

from bridge_common.base.errors import AuthError, BridgeError, InputError, OutsideError, PayloadTooLargeError
from bridge_common.service.http_responses import PROBLEM_JSON
from bridge_common.service.web_server import application
from call_control.app import CallControl
from call_control.core.fleet_demand import KINDS
from call_control.core.policy.policy_in_force import OutdatedError
from call_control.core.policy.policy_text import PolicyError
from call_control.http import error_responses
from call_control.http.authentication import ForbiddenError
from call_control.http.error_responses import (
    BusyError,
    ConflictError,
    InterruptedSayError,
    NotFoundError,
    PreconditionRequiredError,
    SlowBodyError,
    UnknownTargetError,
    UnsupportedMediaError,
)
from call_control.http.operator_api import DEFAULT_LIMIT, HIGHEST_LIMIT
from call_control.settings import CallControlSettings
from tests.repo.openapi_schemas import Json, ref, schemas

PATH: Final = Path(__file__).parents[2] / "docs/openapi.json"
ERRORS: Final[dict[type[BridgeError], int]] = {
    **{cls: status for cls, status in error_responses.STATUS if cls is not BridgeError},
    InterruptedSayError: 409,
}
_OPERATOR: Final = (InputError, AuthError, ForbiddenError, BusyError, OutsideError)
_BODY: Final = (PayloadTooLargeError, SlowBodyError)


@dataclass(frozen=True)
class Operation:
    summary: str
    status: int
    answer: str = ""
    """Name of the schema of a successful response; empty if it has no JSON body."""
    errors: tuple[type[BridgeError], ...] = ()
    body: Mapping[str, str] | None = None
    """Name of the schema of a request, by content type."""
    parameters: tuple[Json, ...] = ()
    tag: str = "operator"


def _parameter(name: str, where: str, schema: Json, description: str, *, required: bool = False) -> Json:
    return {"name": name, "in": where, "required": required, "description": description, "schema": schema}


_LIMIT: Final = _parameter(
    "limit",
    "query",
    {"type": "integer", "minimum": 1, "maximum": HIGHEST_LIMIT, "default": DEFAULT_LIMIT},
    "Highest number of calls in the answer.",
)
_IF_MATCH: Final = _parameter(
    "If-Match",
    "header",
    {"type": "string", "minLength": 1, "pattern": r"\S"},
    "ETag of the policy that this one replaces, or `*`.",
    required=True,
)
_INTERRUPT: Final = _parameter(
    "interrupt", "query", {"type": "boolean", "default": False}, "Stops the agent and drops announcements that wait."
)
_IDEMPOTENCY_KEY: Final = _parameter(
    "Idempotency-Key", "header", {"type": "string", "maxLength": 200}, "Repeated requests with it are one action."
)
_ORIGIN: Final = _parameter(
    "WebHook-Request-Origin", "header", {"type": "string", "minLength": 1, "pattern": r"\S"},
    "Origin of the sender of events.", required=True,
)  # fmt: skip
_EVENTS: Final = {"application/json": "Events", "application/cloudevents+json": "Events"}
_CHANGES: Final = (*_OPERATOR, *_BODY)

OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("GET", "/api/calls"): Operation("List the newest calls", 200, "Calls", _OPERATOR, parameters=(_LIMIT,)),
    ("GET", "/api/calls/{call_id}"): Operation("Get one call", 200, "Call", (*_OPERATOR, NotFoundError)),
    ("DELETE", "/api/calls/{call_id}"): Operation(
        "Erase an ended call", 204, errors=(*_OPERATOR, NotFoundError, ConflictError)
    ),
    ("GET", "/api/calls/{call_id}/transcript"): Operation(
        "Get the transcript of a call", 200, "Transcript", (*_OPERATOR, NotFoundError)
    ),
    ("POST", "/api/calls/{call_id}/hangup"): Operation(
        "Hang up a call", 202, "Accepted", (*_OPERATOR, NotFoundError, ConflictError)
    ),
    ("GET", "/api/calls/{call_id}/actions"): Operation(
        "List the actions of a call", 200, "Actions", (*_OPERATOR, NotFoundError)
    ),
    ("POST", "/api/calls/{call_id}/actions"): Operation(
        "Request an action of a connected call",
        202,
        "Action",
        (*_CHANGES, NotFoundError, ConflictError, UnknownTargetError),
        {"application/json": "ActionRequest"},
        (_IDEMPOTENCY_KEY,),
    ),
    ("GET", "/api/calls/{call_id}/actions/{action_id}"): Operation(
        "Get an action and its outcome", 200, "Action", (*_OPERATOR, NotFoundError)
    ),
    ("POST", "/api/calls/{call_id}/say"): Operation(
        "Speak a text with the agent's voice (announcement)",
        202,
        "Announcement",
        (*_CHANGES, NotFoundError, ConflictError, InterruptedSayError, UnsupportedMediaError),
        {"application/json": "Text", "text/plain": "PlainText", "application/x-ndjson": "TextPiece"},
        (_INTERRUPT,),
    ),
    ("GET", "/api/routing"): Operation("Get the routing policy in force", 200, "PolicyInForce", _OPERATOR),
    ("PUT", "/api/routing"): Operation(
        "Replace the routing policy",
        200,
        "PolicyInForce",
        (*_CHANGES, OutdatedError, PolicyError, PreconditionRequiredError),
        {"application/json": "Policy", "application/yaml": "PolicyText"},
        (_IF_MATCH,),
    ),
    ("DELETE", "/api/routing"): Operation(
        "Return to the policy of the file ROUTING_POLICY",
        200,
        "PolicyInForce",
        (*_OPERATOR, OutdatedError, PreconditionRequiredError),
        parameters=(_IF_MATCH,),
    ),
    ("PUT", "/api/routing/kill_switch"): Operation(
        "Set the kill switch: all new calls go to human agents", 200, "PolicyInForce", _CHANGES,
        {"application/json": "Switch"},
    ),
    ("POST", "/api/routing/preview"): Operation(
        "Show what the routing policy would do with a given call", 200, "Preview", (*_OPERATOR, *_BODY),
        {"application/json": "PreviewRequest"},
    ),
    ("PUT", "/api/routing/everyone_to_people"): Operation(
        "Deprecated name of /api/routing/kill_switch", 200, "PolicyInForce", _CHANGES, {"application/json": "Switch"}
    ),
    ("GET", "/api/fleet"): Operation("List the processes, and the demand of each service", 200, "Fleet", _OPERATOR),
    ("GET", "/api/fleet/{kind}"): Operation(
        "Get the demand of one service, for an autoscaler", 200, "Demand", (*_OPERATOR, NotFoundError)
    ),
    ("POST", "/api/incomingCall"): Operation(
        "Receive events of Event Grid", 200, "Received", (InputError, AuthError, OutsideError, *_BODY), _EVENTS,
        tag="azure",
    ),
    ("OPTIONS", "/api/incomingCall"): Operation(
        "Answer the CloudEvents handshake", 200, errors=(InputError, AuthError), parameters=(_ORIGIN,), tag="azure"
    ),
    ("POST", "/api/callbacks/{call_id}"): Operation(
        "Receive mid-call events of ACS", 200, "Received",
        (InputError, AuthError, NotFoundError, OutsideError, *_BODY), _EVENTS, tag="azure",
    ),
    ("GET", "/livez"): Operation("Whether the process is alive", 200, "Probe", tag="platform"),
    ("GET", "/readyz"): Operation("Whether the process accepts new calls", 200, "Probe", tag="platform"),
    ("GET", "/metrics"): Operation("Prometheus metrics", 200, tag="platform"),
}  # fmt: skip


def document() -> Json:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "call-control",
            "version": "0.1.0",
            "description": "Operator API, webhooks for Azure, and probes. Behavior in detail: docs/api.md.",
        },
        "paths": _paths(),
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "schemas": schemas(sorted({cls.code for cls in ERRORS} | {"method_not_allowed", "internal"})),
        },
    }


def routes() -> set[tuple[str, str]]:
    """Method and path of each route of call-control. Agent tools have a document of their own (/agent/openapi.json)."""
    values: Json = {
        "redis_url": "redis://127.0.0.1:1",
        "base_url": "https://phone.example.com",
        "media_token_keys": "not-used-" * 2,
        "acs_jwt_audience": "not-used",
        "acs_endpoint": "https://acs.example.com",
        "event_grid_secrets": "not-used-" * 2,
    }
    app = application(CallControl(CallControlSettings(**values)))
    found = [route for route in app.routes if isinstance(route, Route) and not route.path.startswith("/agent/")]
    return {(method, route.path) for route in found for method in route.methods or () if method != "HEAD"}


def _paths() -> Json:
    paths: Json = {}
    for method, path in sorted(routes()):
        paths.setdefault(path, {})[method.lower()] = _operation(path, OPERATIONS[method, path])
    return paths


def _operation(path: str, operation: Operation) -> Json:
    parameters = list(operation.parameters)
    if "{action_id}" in path:
        parameters.insert(0, _parameter("action_id", "path", {"type": "string"}, "Id of the action.", required=True))
    if "{kind}" in path:
        parameters.insert(0, _parameter("kind", "path", {"enum": [*KINDS]}, "Name of the service.", required=True))
    if "{call_id}" in path:
        parameters.insert(0, _parameter("call_id", "path", {"type": "string"}, "Id of the call.", required=True))
    shown: Json = {"summary": operation.summary, "tags": [operation.tag]}
    if operation.tag == "operator":
        shown["security"] = [{"apiKey": []}, {"bearer": []}]
        name = {"type": "string", "pattern": "^[A-Za-z0-9_ .@-]{0,64}$"}
        parameters.append(_parameter("X-Operator", "header", name, "Name for the audit log; not verified."))
    if parameters:
        shown["parameters"] = parameters
    if operation.body:
        content = {kind: {"schema": ref(schema)} for kind, schema in operation.body.items()}
        shown["requestBody"] = {"required": True, "content": content}
    shown["responses"] = dict(_responses(operation))
    return shown


def _responses(operation: Operation) -> Iterator[tuple[str, Json]]:
    answer = {"content": {"application/json": {"schema": ref(operation.answer)}}} if operation.answer else {}
    yield str(operation.status), {"description": "Success", **answer}
    if operation.answer == "Probe":
        yield "503", {"description": "Not so; `reason` says why", **answer}
    codes: dict[int, list[str]] = {}
    for error in operation.errors:
        codes.setdefault(ERRORS[error], []).append(error.code)
    for status, names in sorted(codes.items()):
        text = " or ".join(f"`{name}`" for name in dict.fromkeys(names))
        yield str(status), {"description": text, "content": {PROBLEM_JSON: {"schema": ref("Problem")}}}


def text() -> str:
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
