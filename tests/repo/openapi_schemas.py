"""The schemas of docs/openapi.json: of records, requests, answers and errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast, get_type_hints

from bridge_common.store.fleet import Member
from bridge_common.wire import action_kinds as kinds
from bridge_common.wire.call_record import CallRecord, Participant, Status, TransferStage
from bridge_common.wire.entries import Notice, Turn
from call_control.core.fleet_demand import KINDS, KindDemand
from call_control.core.policy.parties import ACS_USERS, TEAMS_APPS, TEAMS_USERS
from call_control.core.policy.routing_policy import Policy
from call_control.core.policy.target_fields import NAME_PATTERN
from call_control.core.routing_preview import PreviewRequest
from call_control.http.fleet_api import demand_json, process_json
from call_control.http.operator_api import call_json, participant_json

Json = dict[str, Any]

_TEXT: Final = {"type": "string", "minLength": 1, "pattern": r"[^\s\x00-\x1f\x7f-\x9f]"}
_PARTY: Final = (
    rf"(4:)?\+[1-9][0-9]{{4,14}}|({'|'.join((*ACS_USERS, *TEAMS_USERS, *TEAMS_APPS))})[0-9A-Za-z_.-]{{1,200}}"
)
"""A number or a raw id (`parties.raw_id_of`)."""
_MEMBER: Final = Member("", "", 0, 0, draining=False, beat_ms=0)
_TYPES: Final = {str: "string", int: "integer", bool: "boolean", float: "number"}


def schemas(codes: Sequence[str]) -> Json:
    """`codes`: the codes of errors."""
    policy = Policy.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
    parts = cast(Json, _plain(policy.pop("$defs")))
    return {
        "Problem": _problem(codes),
        "Call": _call(),
        "Calls": _object({"calls": {"type": "array", "items": ref("Call")}}),
        "Turn": _entry("turn", Turn),
        "Notice": _entry("notice", Notice),
        "Transcript": _object(
            {
                "call_id": {"type": "string"},
                "entries": {"type": "array", "items": {"oneOf": [ref("Turn"), ref("Notice")]}},
            }
        ),
        "Accepted": _object({"call_id": {"type": "string"}, "status": _status()}),
        "Action": _object(
            {
                "action_id": {"type": "string"},
                "action": {"type": "string"},
                "arguments": {"type": "object"},
                "by": {"type": "string"},
                "at_ms": {"type": "integer"},
                "state": {"enum": ["accepted", "running", "done", "failed", "canceled"]},
                "reason": {"type": "string"},
            }
        ),
        "Actions": _object({"call_id": {"type": "string"}, "actions": {"type": "array", "items": ref("Action")}}),
        "ActionRequest": {"oneOf": [*_action_requests()]},
        "Announcement": _object(
            {"call_id": {"type": "string"}, "say_id": {"type": "string"}, "characters": {"type": "integer"}}
        ),
        "Text": _object({"text": _TEXT, "interrupt": {"type": "boolean"}}, optional=["interrupt"]),
        "TextPiece": {"description": "One line for each piece of the text.", **_object({"text": {"type": "string"}})},
        "PlainText": {**_TEXT, "description": "UTF-8, also chunked while it is being written."},
        "Policy": _plain(policy),
        "PolicyText": {"type": "string", "description": "The policy as YAML, where numbers need no quotes."},
        **parts,
        "PolicyInForce": _object(
            {
                "version": {"type": "integer"},
                "since_ms": {"type": "integer"},
                "by": {"type": "string"},
                "policy": {"oneOf": [ref("Policy"), {"type": "null"}]},
            }
        ),
        "PreviewRequest": _preview_request(),
        "Preview": _object(
            {
                "version": {"type": "integer"},
                "at_ms": {"type": "integer"},
                "action": {"enum": ["agent", "connect", "redirect", "reject"]},
                "rule": {"type": "string"},
                "reason": {"type": "string"},
                "agent": {"type": "string"},
                "target": {"type": "string"},
                "reject": {"type": "string"},
                "wait_s": {"type": "number"},
                "waits_for_place": {"type": "boolean"},
                "limited_rules": {
                    "type": "array",
                    "items": _object(
                        {"rule": {"type": "string"}, "calls": {"type": "integer"}, "max_calls": {"type": "integer"}}
                    ),
                },
                "passed_rules": {
                    "type": "array",
                    "items": _object({"rule": {"type": "string"}, "condition": {"type": "string"}}),
                },
            },
            optional=["agent", "target", "reject", "wait_s", "waits_for_place"],
        ),
        "Switch": {"type": "boolean"},
        "Events": {
            "description": "One event or an array, in the Event Grid schema or as CloudEvents 1.0.",
            "oneOf": [{"type": "object"}, {"type": "array", "minItems": 1}],
        },
        "Received": _object(
            {name: {"type": "integer"} for name in ("received", "refused")}
            | {"validationResponse": {"type": "string"}},
            optional=["received", "refused", "validationResponse"],
        ),
        "Demand": _demand(),
        "Fleet": _object(
            {
                "kinds": _object({kind: ref("Demand") for kind in KINDS}),
                "processes": {"type": "array", "items": _like(process_json(_MEMBER))},
            }
        ),
        "Probe": _object(
            {name: {"type": "string"} for name in ("status", "reason", "degraded")}, optional=["reason", "degraded"]
        ),
    }


def _demand() -> Json:
    return _like(demand_json(KindDemand(calls=0)))


def _like(shown: Mapping[str, object]) -> Json:
    """The schema of a flat object with fields of these types."""
    return _object({name: {"type": _TYPES[type(value)]} for name, value in shown.items()})


def _preview_request() -> Json:
    schema: Json = _plain(PreviewRequest.model_json_schema())
    schema["properties"]["callee"]["pattern"] = f"^({_PARTY}|{NAME_PATTERN})$"
    schema["properties"]["caller"]["pattern"] = f"^(|anonymous|4:[^0-9]*|{_PARTY})$"
    return schema


def _action_requests() -> Iterator[Json]:
    """The body for each action: its arguments are fields beside `action`."""
    text = {**_TEXT, "maxLength": kinds.MAX_TEXT}
    reason = {"type": "string", "maxLength": kinds.MAX_TEXT}
    tones = {"type": "string", "pattern": "^[0-9A-D*#]{1,18}$"}
    target = {"type": "string", "pattern": f"^{NAME_PATTERN}$"}
    participant = {"type": "string", "pattern": "^[A-Za-z0-9+][A-Za-z0-9+ :._-]{0,199}$"}
    context = {
        "topic": {"type": "string", "maxLength": kinds.MAX_TOPIC},
        "summary": {"type": "string", "maxLength": kinds.MAX_SUMMARY},
    }
    yield _object({"action": {"const": kinds.HANG_UP}, "reason": reason}, optional=["reason"])
    yield _object({"action": {"const": kinds.SEND_DTMF}, "tones": tones})
    for kind in (kinds.NOTE, kinds.DISPOSITION):
        yield _object({"action": {"const": kind}, "text": text})
    mode = {"mode": {"enum": [kinds.ATTENDED, kinds.BLIND]}}
    for kind, more in ((kinds.TRANSFER, mode | context), (kinds.ADD_PARTICIPANT, context)):
        yield _object({"action": {"const": kind}, "target": target, **more}, optional=[*more])
    yield _object({"action": {"const": kinds.REMOVE_PARTICIPANT}, "participant": participant})
    for kind in (kinds.HOLD, kinds.RESUME, kinds.MUTE):
        yield _object({"action": {"const": kind}, "participant": participant}, optional=["participant"])
    yield _object({"action": {"const": kinds.RETURN_TO_AGENT}})


def _problem(codes: Sequence[str]) -> Json:
    mistakes = {"type": "array", "items": {"type": "string"}}
    older = _object(
        {"code": {"enum": list(codes)}, "message": {"type": "string"}, "mistakes": mistakes}, optional=["mistakes"]
    )
    return _object(
        {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "The fault, and the remedy."},
            "code": {"enum": list(codes)},
            "mistakes": {**mistakes, "description": "All errors of a routing policy, with their locations."},
            "error": {**older, "deprecated": True, "description": "The form before 0.2.0."},
        },
        optional=["mistakes"],
    )


def _call() -> Json:
    """Return the schema of a record as `call_json` formats it."""
    shown = call_json(CallRecord(call_id="call_1", status=Status.RINGING))
    fields = _fields({name: value for name, value in shown.items() if not isinstance(value, dict | list)})
    participant = _fields(participant_json(Participant("4:+14255550177")))
    groups = {
        "status": _status(),
        "route": _object({"rule": {"type": "string"}, "reason": {"type": "string"}}),
        "transfer": _object({"action_id": {"type": "string"}, "stage": {"enum": [one.value for one in TransferStage]}}),
        "participants": {
            "type": "array",
            "items": _object(participant | {"state": {"enum": ["ringing", "joined", "left", "failed"]}}),
        },
        "custom_context": {
            "type": "object",
            "additionalProperties": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }
    return _object({name: groups.get(name) or fields[name] for name in shown})


def _fields(shown: Mapping[str, object]) -> Json:
    return {name: {"type": _TYPES[type(value)]} for name, value in shown.items()}


def _entry(kind: str, cls: type[Turn] | type[Notice]) -> Json:
    hints = {name: hint for name, hint in get_type_hints(cls).items() if name in cls.__struct_fields__}
    return _object(
        {"id": {"type": "string"}, "kind": {"const": kind}}
        | {name: {"type": _TYPES[hint]} for name, hint in hints.items()}
    )


def _status() -> Json:
    return {"enum": [status.value for status in Status]}


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Mapping[str, Json], *, optional: Sequence[str] = ()) -> Json:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _plain(schema: object) -> Any:
    """Return pydantic's schema without titles and docstrings, with limits as keywords of JSON Schema."""
    words = {"ge": "minimum", "le": "maximum"}
    if isinstance(schema, dict):
        kept = {
            name: part
            for name, part in schema.items()
            if not (name in ("title", "description") and isinstance(part, str))
        }
        return {words.get(name, name): _plain(part) for name, part in kept.items()}
    return [_plain(part) for part in schema] if isinstance(schema, list) else schema
