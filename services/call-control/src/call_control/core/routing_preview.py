"""Preview of a routing decision: the action for a given call, and the reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from bridge_common.base.errors import InputError
from bridge_common.base.fault_texts import in_words, location, unknown_field
from bridge_common.wire.entries import IncomingCall
from call_control.core.events.custom_context import MAX_HEADERS, MAX_NAME_LENGTH, MAX_VALUE_LENGTH
from call_control.core.policy.call_headers import headers_of
from call_control.core.policy.parties import is_anonymous, raw_id_of
from call_control.core.policy.routing import Accepted, Connected, Redirected, Routed, Routing, mismatch
from call_control.core.policy.routing_policy import Policy

_CALL_ID: Final = "preview"
"""Decides the share of a caller without a number; each real call of such a caller is drawn separately."""
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_END: Final = datetime(2100, 1, 1, tzinfo=UTC)
_POSITION: Final = re.compile(r"line (\d+) column (\d+)")
_WORDS: Final = {
    "missing": "is missing",
    "string_type": "must be a string",
    **dict.fromkeys(("model_type", "dict_type"), "must be a JSON object"),
}
_HeaderName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]
_HeaderValue = Annotated[str, Field(max_length=MAX_VALUE_LENGTH)]


class PreviewRequest(BaseModel):
    """`caller`: a number or raw id; empty or `anonymous` for a hidden number. `callee`: a number, a raw id, or the name
    of a resource account. `at`: default: now.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    caller: Annotated[str, Field(max_length=256)] = ""
    callee: Annotated[str, Field(max_length=256)]
    headers: Annotated[dict[_HeaderName, _HeaderValue], Field(max_length=MAX_HEADERS)] = Field(default_factory=dict)
    at: Annotated[AwareDatetime, Field(strict=True)] | None = None


def decode_preview(body: bytes) -> PreviewRequest:
    """Raises `InputError`, without the values, which may be phone numbers."""
    try:
        return PreviewRequest.model_validate_json(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise InputError("; ".join(_words(dict(one)) for one in problems[:10])) from None


def _words(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "json_invalid":
        found = _POSITION.search(problem["msg"])
        where = f" (line {found[1]}, column {found[2]})" if found else ""
        return f"the body is not valid JSON{where}"
    where = location(problem["loc"]) or "the body"
    if problem["type"] == "extra_forbidden":
        return f"{where}: {unknown_field(problem['loc'][-1], list(PreviewRequest.model_fields))}"
    return f"{where}: {in_words(problem, _WORDS)}"


def incoming_call(request: PreviewRequest, now: datetime, policy: Policy | None) -> IncomingCall:
    """The call as the webhook would receive it. Raises `InputError`."""
    at = request.at or now
    if not _FIRST <= at < _END:
        raise InputError(f"at: must be a time from {_FIRST.year} to {_END.year - 1}, got {at.isoformat()}")
    hidden = is_anonymous(request.caller) or request.caller == "anonymous"
    return IncomingCall(
        call_id=_CALL_ID,
        event_id="",
        caller="" if hidden else _party("caller", request.caller),
        callee=_callee(request.callee, policy),
        incoming_call_context="",
        correlation_id="",
        server_call_id="",
        received_ms=round(at.timestamp() * 1000),
        custom_context=json.dumps({"sip_headers": request.headers}) if request.headers else "",
    )


def _party(name: str, text: str) -> str:
    try:
        return raw_id_of(text)
    except InputError:
        raise InputError(f"{name}: is neither +<number> nor a raw id (4:+…, 8:acs:…, 8:orgid:…, 28:orgid:…)") from None


def _callee(text: str, policy: Policy | None) -> str:
    """Return the raw id of the callee: that of the resource account for its name or its number."""
    found = policy.account_of(text) if policy is not None else None
    return found[1].teams_app if found is not None else _party("callee", text)


def preview(
    routing: Routing, call: IncomingCall, options: Sequence[Routed], calls: Mapping[str, int]
) -> dict[str, Any]:
    """As JSON. Limits on incoming calls are not considered.

    `options`: `Routing.options` of the call. `calls`: number of calls of the rules with `max_calls` among them.
    """
    routed = next(one for one in options if not _is_full(one, calls) or one.wait_s)
    decision = routed.decision
    shown: dict[str, Any] = {"action": routed.action, "rule": routed.rule, "reason": routed.reason}
    if routed.wait_s:
        shown |= {"wait_s": routed.wait_s, "waits_for_place": _is_full(routed, calls)}
    if isinstance(decision, Accepted):
        shown["agent"] = decision.profile
    elif isinstance(decision, Connected | Redirected):
        shown["target"] = decision.target
    else:
        shown["reject"] = decision.reason
    considered = options[: options.index(routed) + 1]
    limited = [
        {"rule": one.rule, "calls": calls[one.rule], "max_calls": one.max_calls} for one in considered if one.max_calls
    ]
    full = {one.rule for one in considered[:-1]}
    return shown | {"limited_rules": limited, "passed_rules": list(_passed(routing, routed, call, full))}


def _is_full(option: Routed, calls: Mapping[str, int]) -> bool:
    return option.max_calls > 0 and calls[option.rule] >= option.max_calls


def _passed(routing: Routing, routed: Routed, call: IncomingCall, full: Set[str]) -> Iterator[Mapping[str, str]]:
    """The rules before the one that decided, each with the condition that the call does not meet. `full`: rules that
    match, but are full.
    """
    rules = routing.policy.rules if routing.policy else ()
    if routing.policy is None or all(rule.name != routed.rule for rule in rules):
        return
    headers = headers_of(call.custom_context)
    for rule in rules:
        if rule.name == routed.rule:
            return
        other = "max_calls" if rule.name in full else "percent"
        yield {"rule": rule.name, "condition": mismatch(rule, routing.policy, call, headers) or other}
