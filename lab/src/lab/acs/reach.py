"""Rules for reaching a person, by an add or a transfer: caller id, context, ringing, refusals.

Caller ids: a phone number is added with one (ACS docs); a call of a Teams resource account never has one (400/8523).
"""

from __future__ import annotations

import asyncio
from typing import Literal

from lab.acs.acs_errors import AcsApiError, InvalidArgumentError
from lab.acs.call_ends import CALLER_ID_REFUSED, TEAMS_REFUSED, CallEnd, failure, refused
from lab.acs.calling_context import decode_calling_context
from lab.acs.forms import CallForms
from lab.acs.invitation import Invitation
from lab.acs.leg import Leg
from lab.acs.operation import Request
from lab.acs.party_identifiers import Identifier
from lab.acs.shared_state import SharedState

MAX_INVITATION_TIMEOUT_S = 180
MAX_OUTBOUND = 2
"""Concurrent outbound calls of one number (ACS docs, "Service limits")."""


def invitation(request: Request, leg: Leg, kind: Literal["add", "transfer"], target: Identifier) -> Invitation:
    """Return the invitation of a request and keep it in the call. Raises `InvalidArgumentError` (8523)."""
    caller_id = check_caller_id(request, in_teams=leg.call.in_teams, forms=leg.shared.forms(leg.call))
    if kind == "add" and target.number is not None and caller_id is None and not leg.call.in_teams:
        raise InvalidArgumentError("The field SourceCallerIdNumber is required to add a phone number.")
    forms = leg.shared.forms(leg.call)
    if forms.outbound_limit == "throttled" and called_with(leg.shared, caller_id) >= MAX_OUTBOUND:
        raise AcsApiError("Too many concurrent calls with this phone number.", status=429, code="TooManyRequests")
    context = decode_calling_context(request.body.get("customCallingContext"))
    display_name = request.optional_text("sourceDisplayName")
    made = Invitation(kind, target, context, caller_id, display_name, _timeout_s(request))
    leg.call.invitations.append(made)
    return made


def check_caller_id(request: Request, *, in_teams: bool, forms: CallForms) -> str | None:
    """Return `sourceCallerIdNumber`, if there is one. Raises `InvalidArgumentError`."""
    number = request.body.get("sourceCallerIdNumber")
    caller_id = number.get("value") if isinstance(number, dict) else None
    if number is not None and not isinstance(caller_id, str):
        raise InvalidArgumentError("The field SourceCallerIdNumber must be a phone number.")
    if in_teams and (number is not None or request.body.get("sourceDisplayName") is not None):
        raise InvalidArgumentError(
            "The fields SourceCallerIdNumber and SourceDisplayName are not allowed in a Teams Phone call."
        )
    if number is not None and forms.caller_id == "refused":
        raise InvalidArgumentError("The field SourceCallerIdNumber is not a number of this resource.")
    return caller_id if isinstance(caller_id, str) else None


async def ring(leg: Leg, invited: Invitation, limit_s: float) -> CallEnd | None:
    """Ring the target. Return why nobody answered; `None` if the call was answered."""
    forms = leg.shared.forms(leg.call)
    ring_s, end = leg.shared.plan(leg.call, invited.target).rings_s(invited.timeout_s or limit_s)
    if invited.target.in_teams and leg.call.in_teams and forms.teams_targets == "refused":
        ring_s, end = 0.0, refused(TEAMS_REFUSED)
    elif invited.target.number is not None and not leg.call.in_teams and forms.caller_id == "not_owned":
        ring_s, end = 0.0, refused(CALLER_ID_REFUSED)
    elif forms.outbound_limit == "declined" and called_with(leg.shared, invited.caller_id) > MAX_OUTBOUND:
        ring_s, end = 0.0, failure("declined")
    await asyncio.sleep(ring_s)
    invited.outcome = "answered" if end is None else end.reason
    return end


def called_with(shared: SharedState, caller_id: str | None) -> int:
    """Return how many people ring, or talk after an invitation, with this caller id; 0 without one."""
    return sum(
        one.caller_id is not None
        and one.caller_id == caller_id
        and (one.open or one.target.raw_id in call.participants)
        for call in shared.calls.all()
        if not call.ended.is_set()
        for one in call.invitations
    )


def _timeout_s(request: Request) -> float:
    timeout_s = request.body.get("invitationTimeoutInSeconds") or 0
    if not isinstance(timeout_s, int) or not 0 <= timeout_s <= MAX_INVITATION_TIMEOUT_S:
        raise InvalidArgumentError(
            f"The field InvitationTimeoutInSeconds must be between 0 and {MAX_INVITATION_TIMEOUT_S}, got {timeout_s!r}."
        )
    return timeout_s
