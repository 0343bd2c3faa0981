"""REST operations that set up or reject a call: answer, create, reject, redirect."""

from __future__ import annotations

from datetime import UTC, datetime

from lab.acs.acs_errors import (
    AcsConflictError,
    AcsNotFoundError,
    InvalidArgumentError,
    StaleContextError,
    invalid_field,
)
from lab.acs.calls import CallbackOptions, CallState, SimulatedCall
from lab.acs.leg import Leg
from lab.acs.operation import AnswerOperation, Request, decode_media_options
from lab.acs.party_identifiers import Identifier, decode_identifier
from lab.acs.reach import check_caller_id
from lab.acs.teams_phone import refuse_redirect

REJECT_REASONS = frozenset({"none", "busy", "forbidden"})


async def answer(request: Request) -> AnswerOperation:
    call = _ringing(request)
    callback = CallbackOptions(request.url("callbackUri"), request.context, request.api_version)
    media = decode_media_options(request.body)
    leg = _leg(request, call)
    call.callback, call.media = callback, media
    leg.connect()
    return AnswerOperation(200, call.properties())


async def create(request: Request) -> AnswerOperation:
    asked = request.body.get("targets")
    if not isinstance(asked, list) or not asked:
        raise invalid_field("targets")
    targets = [decode_identifier(one, "targets") for one in asked]
    if len(set(targets)) < len(targets):
        raise InvalidArgumentError("The field Targets contains the same participant twice.")
    teams = request.body.get("teamsAppSource")
    account = teams.get("appId") if isinstance(teams, dict) else None
    if teams is not None and not isinstance(account, str):
        raise invalid_field("teamsAppSource")
    caller_id = check_caller_id(request, in_teams=account is not None, forms=request.exchange.shared.faults.forms)
    if any(one.number is not None for one in targets) and caller_id is None and account is None:
        raise InvalidArgumentError("The field SourceCallerIdNumber is required to call a phone number.")
    source = Identifier(f"28:orgid:{account}") if account else Identifier.phone(caller_id) if caller_id else None
    callback = CallbackOptions(request.url("callbackUri"), request.context, request.api_version)
    media = decode_media_options(request.body)
    leg = request.exchange.place_outbound(targets, source)
    leg.call.callback, leg.call.media = callback, media
    leg.connect()
    return AnswerOperation(201, leg.call.properties())


async def reject(request: Request) -> AnswerOperation:
    call = _ringing(request)
    reason = str(request.body.get("callRejectReason") or "none").lower()
    if reason not in REJECT_REASONS:
        raise invalid_field("callRejectReason")
    call.note("rejected", reason=reason)
    call.become(CallState.REJECTED)
    return AnswerOperation(204)


async def redirect(request: Request) -> AnswerOperation:
    call = _ringing(request)
    target = request.identifier("target")
    refuse_redirect(call)
    call.note("redirected", target=target.raw_id)
    call.redirected_to = target.raw_id
    call.become(CallState.REDIRECTED)
    return AnswerOperation(204)


def _ringing(request: Request) -> SimulatedCall:
    """Return the ringing call of the incoming-call context, or raise the error for its current state."""
    call = request.exchange.shared.calls.by_context(request.text("incomingCallContext"))
    if call is None or call.outbound:
        raise invalid_field("incomingCallContext")
    now = datetime.now(UTC)
    if call.state is CallState.UNANSWERED or now >= call.valid_until:
        raise StaleContextError(now, call.valid_until)
    if call.state is CallState.ENDED:
        raise AcsNotFoundError("Call not found: the caller has hung up.")
    if call.state is not CallState.RINGING:
        raise AcsConflictError(f"The incoming call no longer rings; its state is {call.state}.")
    return call


def _leg(request: Request, call: SimulatedCall) -> Leg:
    leg = request.exchange.leg(call)
    if leg is None:
        raise AcsNotFoundError("Call not found.")
    return leg
