"""The transfer of a party: accepted, failed, or refused, in the forms that `CallForms` names."""

from __future__ import annotations

import asyncio
import time

from lab.acs import callback_events as events
from lab.acs.acs_errors import AcsConflictError, InvalidArgumentError, WrongStateError
from lab.acs.call_ends import TRANSFERRED, CallEnd, ended_by_acs, refused
from lab.acs.invitation import Invitation
from lab.acs.joining import join
from lab.acs.leg import Leg
from lab.acs.operation import AnswerOperation, Request
from lab.acs.party_identifiers import Identifier
from lab.acs.reach import invitation, ring

NOT_ESTABLISHED_S = 3.0
_LOST_AFTER_S = 0.5
_GROUP_REFUSED = (400, 8585, "The transfer out of a group call is not supported. DiagCode: 400#8585.@")


async def transfer(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    call, forms = leg.call, leg.shared.forms(leg.call)
    target = request.identifier("targetParticipant")
    group = len(call.people) > 1
    if group and request.body.get("transferee") is None:
        raise InvalidArgumentError("The field Transferee is required in a call of more than two.")
    other = call.people[0].identifier if call.people else call.caller
    transferee = other if request.body.get("transferee") is None else request.identifier("transferee")
    if leg.participant(transferee).identifier == call.app:
        raise InvalidArgumentError("The field Transferee must not be the application.")
    if any(one.kind == "transfer" and one.open for one in call.invitations):
        raise AcsConflictError("A transfer of this call is in progress.", code="8607")
    if group and forms.group_transfer == "refused":
        raise WrongStateError("The transfer out of a group call is not supported.")
    context, url = request.context, request.operation_callback_url
    asked = invitation(request, leg, "transfer", target)
    asked.ringing = leg.spawn(_transfer(leg, asked, transferee, context, url))
    return request.accepted()


async def _transfer(leg: Leg, asked: Invitation, transferee: Identifier, context: str | None, url: str | None) -> None:
    """Ring the target. If it answers, the transferee leaves; otherwise the call continues."""
    call, forms = leg.call, leg.shared.forms(leg.call)
    group = len(call.people) > 1
    await _suspend_media(leg, forms.transfer_media)
    failed = await ring(leg, asked, forms.transfer_timeout_s)
    if group and forms.group_transfer == "failed":
        failed = refused(_GROUP_REFUSED)
        asked.outcome = failed.reason
    if failed is None and transferee.raw_id not in call.participants:
        failed = ended_by_acs("transferee_left", 5002)
        asked.outcome = failed.reason
    if failed is not None:
        await _fail(leg, asked, failed, context, url)
        return
    accepted = events.transfer_accepted(call, asked.target, transferee, context)
    call.media_suspended = ""
    call.note("transferred", target=asked.target.raw_id, participant=transferee.raw_id)
    if len(call.people) > 1:
        leg.callbacks.put(accepted, url=url)
        leg.take_out(transferee, TRANSFERRED)
        return
    form = forms.accepted_transfer
    end = ended_by_acs("transferred", int(form)) if form.isdecimal() else TRANSFERRED
    if form == "disconnected_first":
        leg.callbacks.put(events.call_disconnected(call, end))
    leg.callbacks.put(accepted, url=url)
    if forms.after_transfer == "ends":
        leg.end(end, report=form.isdecimal())
        return
    leg.disconnect_app(end, report=form.isdecimal())
    plan = leg.shared.plan(call, asked.target)
    join(leg, asked.target, plan, plan.script())


async def _fail(leg: Leg, asked: Invitation, end: CallEnd, context: str | None, url: str | None) -> None:
    call, forms = leg.call, leg.shared.forms(leg.call)
    call.note("transfer_failed", target=asked.target.raw_id, reason=end.reason)
    if forms.failed_transfer == "not_established":
        call.established_at = time.monotonic() + NOT_ESTABLISHED_S
    leg.callbacks.put(events.failed(call, "CallTransferFailed", context, end.code, end.sub_code, end.message), url=url)
    if forms.failed_transfer == "ends":
        await asyncio.sleep(_LOST_AFTER_S)
        leg.end(ended_by_acs("lost_after_transfer", 301005, 410))
    elif forms.transfer_media == "closed":
        await leg.streaming.reopen()
    call.media_suspended = ""


async def _suspend_media(leg: Leg, form: str) -> None:
    if leg.call.media_state != "active":
        return
    if form == "silent":
        leg.call.media_suspended = "silent"
    elif form == "stops":
        leg.call.media_suspended = "stops"
    elif form == "closed":
        leg.call.media_suspended = "stops"
        await leg.streaming.link.close()
