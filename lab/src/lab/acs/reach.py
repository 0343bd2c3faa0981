"""Rules for reaching a person, by an add or a transfer: caller id, context, ringing, refusals.

Caller ids: a phone number is added with one (ACS docs); a call of a Teams resource account never has one (400/8523).
"""

from __future__ import annotations

import asyncio
from typing import Literal

from lab.acs.acs_errors import InvalidArgumentError
from lab.acs.call_ends import CALLER_ID_REFUSED, TEAMS_REFUSED, CallEnd, refused
from lab.acs.calling_context import decode_calling_context
from lab.acs.invitation import Invitation
from lab.acs.leg import Leg
from lab.acs.operation import Request
from lab.acs.party_identifiers import Identifier

MAX_INVITATION_TIMEOUT_S = 180


def invitation(request: Request, leg: Leg, kind: Literal["add", "transfer"], target: Identifier) -> Invitation:
    """Return the invitation of a request and keep it in the call. Raises `InvalidArgumentError` (8523)."""
    caller_id = check_caller_id(request, in_teams=leg.call.in_teams)
    if kind == "add" and target.number is not None and caller_id is None and not leg.call.in_teams:
        raise InvalidArgumentError("The field SourceCallerIdNumber is required to add a phone number.")
    context = decode_calling_context(request.body.get("customCallingContext"))
    display_name = request.optional_text("sourceDisplayName")
    made = Invitation(kind, target, context, caller_id, display_name, _timeout_s(request))
    leg.call.invitations.append(made)
    return made


def check_caller_id(request: Request, *, in_teams: bool) -> str | None:
    """Return `sourceCallerIdNumber`, if there is one. Raises `InvalidArgumentError`."""
    number = request.body.get("sourceCallerIdNumber")
    caller_id = number.get("value") if isinstance(number, dict) else None
    if number is not None and not isinstance(caller_id, str):
        raise InvalidArgumentError("The field SourceCallerIdNumber must be a phone number.")
    if in_teams and (number is not None or request.body.get("sourceDisplayName") is not None):
        raise InvalidArgumentError(
            "The fields SourceCallerIdNumber and SourceDisplayName are not allowed in a Teams Phone call."
        )
    if number is not None and request.exchange.shared.faults.forms.caller_id == "refused":
        raise InvalidArgumentError("The field SourceCallerIdNumber is not a number of this resource.")
    return caller_id if isinstance(caller_id, str) else None


async def ring(leg: Leg, invited: Invitation, limit_s: float) -> CallEnd | None:
    """Ring the target. Return why nobody answered; `None` if the call was answered."""
    forms = leg.shared.faults.forms
    ring_s, end = leg.shared.people.plan(invited.target).rings_s(invited.timeout_s or limit_s)
    if invited.target.in_teams and leg.call.in_teams and forms.teams_targets == "refused":
        ring_s, end = 0.0, refused(TEAMS_REFUSED)
    elif invited.target.number is not None and not leg.call.in_teams and forms.caller_id == "not_owned":
        ring_s, end = 0.0, refused(CALLER_ID_REFUSED)
    await asyncio.sleep(ring_s)
    invited.outcome = "answered" if end is None else end.reason
    return end


def _timeout_s(request: Request) -> float:
    timeout_s = request.body.get("invitationTimeoutInSeconds") or 0
    if not isinstance(timeout_s, int) or not 0 <= timeout_s <= MAX_INVITATION_TIMEOUT_S:
        raise InvalidArgumentError(
            f"The field InvitationTimeoutInSeconds must be between 0 and {MAX_INVITATION_TIMEOUT_S}, got {timeout_s!r}."
        )
    return timeout_s
