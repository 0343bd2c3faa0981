"""REST operations on participants: list, get, add, remove, mute, transfer."""

from __future__ import annotations

import asyncio
import uuid

from lab.acs import callback_events as events
from lab.acs.acs_errors import InvalidArgumentError, invalid_field
from lab.acs.call_ends import HUNG_UP_BY_APP, LAST_ONE_REMOVED, TRANSFERRED, CallEnd, failure
from lab.acs.calls import Participant
from lab.acs.leg import Leg
from lab.acs.operation import AnswerOperation, Request
from lab.acs.party_identifiers import Identifier, Json, decode_identifier

MAX_INVITATION_TIMEOUT_S = 180


async def list_participants(request: Request) -> AnswerOperation:
    participants = request.leg().call.participants.values()
    return AnswerOperation(200, {"value": [participant.json() for participant in participants]})


async def get_participant(request: Request) -> AnswerOperation:
    return AnswerOperation(200, request.leg().participant(Identifier(request.path["raw_id"])).json())


async def add_participant(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    target = request.identifier("participantToAdd")
    if target.raw_id in leg.call.participants:
        raise InvalidArgumentError("The participant is already in the call.")
    if target.number is not None and not isinstance(request.body.get("sourceCallerIdNumber"), dict):
        raise InvalidArgumentError("The field SourceCallerIdNumber is required to add a phone number.")
    timeout_s = request.body.get("invitationTimeoutInSeconds") or 0
    if not isinstance(timeout_s, int) or not 0 <= timeout_s <= MAX_INVITATION_TIMEOUT_S:
        raise InvalidArgumentError(
            f"The field InvitationTimeoutInSeconds must be between 0 and {MAX_INVITATION_TIMEOUT_S}, got {timeout_s!r}."
        )
    invitation = str(uuid.uuid4())
    context, url = request.context, request.operation_callback_url
    leg.spawn(_invite(leg, target, invitation, timeout_s, context, url))
    body: Json = {"participant": Participant(target).json(), "invitationId": invitation}
    return AnswerOperation(202, body | request.context_body())


async def _invite(
    leg: Leg, target: Identifier, invitation: str, timeout_s: int, context: str | None, url: str | None
) -> None:
    """Ring the participant. `timeout_s`: 0 if the application set no timeout."""
    plan = leg.shared.callee
    in_time = not timeout_s or plan.after_s <= timeout_s
    await asyncio.sleep(plan.after_s if in_time else timeout_s)
    about: Json = {"participant": target.json(), "invitationId": invitation}
    failed = failure(plan.outcome if in_time else "no_answer")
    if failed is not None:
        event = _failed(leg, "AddParticipantFailed", context, failed, about)
        leg.callbacks.put(event, url=url)
        return
    leg.call.participants[target.raw_id] = Participant(target)
    leg.call.note("participant_added", participant=target.raw_id)
    leg.callbacks.put(events.completed(leg.call, "AddParticipantSucceeded", context, **about), url=url)
    leg.callbacks.put(events.participants_updated(leg.call))


async def remove_participant(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    target = leg.participant(request.identifier("participantToRemove")).identifier
    context, url = request.context, request.operation_callback_url
    del leg.call.participants[target.raw_id]
    leg.call.note("participant_removed", participant=target.raw_id)
    succeeded = events.completed(leg.call, "RemoveParticipantSucceeded", context, participant=target.json())
    leg.callbacks.put(succeeded, url=url)
    leg.callbacks.put(events.participants_updated(leg.call))
    if target == leg.call.caller:
        leg.end(LAST_ONE_REMOVED)
    elif target == leg.call.app:
        leg.end(HUNG_UP_BY_APP)
    return request.accepted()


async def mute_participants(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    targets = request.body.get("targetParticipants")
    if not isinstance(targets, list) or not targets:
        raise invalid_field("targetParticipants")
    for target in [leg.participant(decode_identifier(value, "targetParticipants")) for value in targets]:
        target.muted = True
        if leg.call.line is not None and target.identifier == leg.call.caller:
            leg.call.line.muted = True
    leg.callbacks.put(events.participants_updated(leg.call))
    return AnswerOperation(200, request.context_body())


async def transfer(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    target = request.identifier("targetParticipant")
    transferee = leg.call.caller if request.body.get("transferee") is None else request.identifier("transferee")
    leg.participant(transferee)
    if len(leg.call.participants) > 2:
        request.pretend("transfer.transferee")
    leg.spawn(_transfer(leg, target, transferee, request.context, request.operation_callback_url))
    return request.accepted()


async def _transfer(leg: Leg, target: Identifier, transferee: Identifier, context: str | None, url: str | None) -> None:
    """Ring the target. If it answers, the application's leg ends; otherwise the call continues."""
    call, plan = leg.call, leg.shared.callee
    await asyncio.sleep(plan.after_s)
    failed = failure(plan.outcome)
    if failed is not None:
        call.note("transfer_failed", target=target.raw_id, reason=failed.reason)
        leg.callbacks.put(_failed(leg, "CallTransferFailed", context, failed, {}), url=url)
        return
    call.note("transferred", target=target.raw_id)
    leg.callbacks.put(events.transfer_accepted(call, target, transferee, context), url=url)
    leg.end(TRANSFERRED)


def _failed(leg: Leg, name: str, context: str | None, end: CallEnd, fields: Json) -> Json:
    return events.failed(leg.call, name, context, end.code, end.sub_code, end.message, **fields)
