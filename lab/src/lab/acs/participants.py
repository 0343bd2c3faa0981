"""REST operations on participants: list, get, add, cancel an add, remove, mute."""

from __future__ import annotations

from lab.acs import callback_events as events
from lab.acs.acs_errors import InvalidArgumentError, invalid_field
from lab.acs.call_ends import CANCELED_INVITATION, HUNG_UP_BY_APP, LAST_ONE_REMOVED, refused
from lab.acs.calls import Participant
from lab.acs.invitation import Invitation
from lab.acs.joining import join
from lab.acs.leg import Leg
from lab.acs.operation import AnswerOperation, Request
from lab.acs.party_identifiers import Identifier, Json, decode_identifier
from lab.acs.reach import invitation, ring
from lab.acs.teams_phone import refuse_in_teams


async def list_participants(request: Request) -> AnswerOperation:
    participants = request.leg().call.participants.values()
    return AnswerOperation(200, {"value": [participant.json() for participant in participants]})


async def get_participant(request: Request) -> AnswerOperation:
    return AnswerOperation(200, request.leg().participant(Identifier(request.path["raw_id"])).json())


async def add_participant(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    target = request.identifier("participantToAdd")
    ringing = {one.target.raw_id for one in leg.call.invitations if one.kind == "add" and one.open}
    if target.raw_id in leg.call.participants or target.raw_id in ringing:
        raise InvalidArgumentError("The participant is already in the call.")
    context, url = request.context, request.operation_callback_url
    invited = invitation(request, leg, "add", target)
    invited.ringing = leg.spawn(_invite(leg, invited, context, url))
    body: Json = {"participant": Participant(target).json(), "invitationId": invited.id}
    return AnswerOperation(202, body | request.context_body())


async def _invite(leg: Leg, invited: Invitation, context: str | None, url: str | None) -> None:
    call, target, forms = leg.call, invited.target, leg.shared.forms(leg.call)
    failed = await ring(leg, invited, forms.invitation_timeout_s)
    if failed is not None:
        call.note("participant_not_reached", participant=target.raw_id, reason=failed.reason)
        leg.callbacks.put(events.add_failed(call, target, context, failed, invited.id), url=url)
        return
    plan = leg.shared.plan(leg.call, target)
    join(leg, target, plan, plan.script())
    about: Json = {"participant": target.json(), "invitationId": invited.id}
    succeeded = events.completed(call, "AddParticipantSucceeded", context, **about)
    if forms.join_events.startswith("success"):
        leg.callbacks.put(succeeded, url=url)
    if forms.join_events != "success_only":
        leg.roster.publish()
    if forms.join_events == "roster_first":
        leg.callbacks.put(succeeded, url=url)


async def cancel_add(request: Request) -> AnswerOperation:
    """Cancel a ringing invitation. Afterwards, or if the id is unknown, the cancellation fails."""
    leg = request.connected_leg()
    invitation_id = request.text("invitationId")
    context, url = request.context, request.operation_callback_url
    invited = next((one for one in leg.call.invitations if one.kind == "add" and one.id == invitation_id), None)
    if invited is None:
        raise invalid_field("invitationId")
    forms = leg.shared.forms(leg.call)
    if not invited.open or forms.cancel_events == "failed":
        message = f"The invitation cannot be canceled; its state is {invited.outcome}."
        event = events.failed(
            leg.call, "CancelAddParticipantFailed", context, 400, 8585, message, invitationId=invitation_id
        )
        leg.callbacks.put(event, url=url)
        return request.accepted()
    if invited.ringing is not None:
        invited.ringing.cancel()
    invited.outcome = "canceled"
    leg.call.note("invitation_canceled", participant=invited.target.raw_id)
    end = refused(CANCELED_INVITATION)
    failed = events.add_failed(leg.call, invited.target, context, end, invitation_id)
    info = failed["data"]
    assert isinstance(info, dict)
    succeeded = events.event(
        *(leg.call, "CancelAddParticipantSucceeded", context),
        invitationId=invitation_id,
        resultInformation=info["resultInformation"],
    )
    leg.callbacks.put(succeeded, url=url)
    if forms.cancel_events == "both":
        leg.callbacks.put(failed)
    return request.accepted()


async def remove_participant(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    target = leg.participant(request.identifier("participantToRemove")).identifier
    context, url = request.context, request.operation_callback_url
    leg.call.note("participant_removed", participant=target.raw_id)
    succeeded = events.completed(leg.call, "RemoveParticipantSucceeded", context, participant=target.json())
    leg.callbacks.put(succeeded, url=url)
    if target == leg.call.app:
        leg.end(HUNG_UP_BY_APP)
    else:
        leg.take_out(target, LAST_ONE_REMOVED)
    return request.accepted()


async def mute_participants(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    refuse_in_teams(leg.call, "Mute")
    targets = request.body.get("targetParticipants")
    if not isinstance(targets, list) or not targets:
        raise invalid_field("targetParticipants")
    for target in [leg.participant(decode_identifier(value, "targetParticipants")) for value in targets]:
        target.muted = True
        line = leg.call.lines.get(target.identifier.raw_id)
        if line is not None:
            line.muted = True
    leg.roster.publish()
    return AnswerOperation(200, request.context_body())
