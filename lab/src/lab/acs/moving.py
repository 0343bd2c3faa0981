"""Participants move here from another call of the application, with the rest of their scripts."""

from __future__ import annotations

import asyncio

from lab.acs import callback_events as events
from lab.acs.acs_errors import AcsNotFoundError, invalid_field
from lab.acs.call_ends import ended_by_acs
from lab.acs.joining import join
from lab.acs.leg import Leg
from lab.acs.operation import AnswerOperation, Request
from lab.acs.party_identifiers import Identifier, Json, decode_identifier

_EMPTY_S = 1.0


async def move_here(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    targets = request.body.get("targetParticipants")
    if not isinstance(targets, list) or not targets:
        raise invalid_field("targetParticipants")
    call = request.exchange.shared.calls.by_connection(request.text("fromCall"))
    source = request.exchange.leg(call) if call is not None else None
    if source is None or source is leg or source.call.ended.is_set() or source.call.app_left:
        raise AcsNotFoundError("Call not found.")
    moved = [source.participant(decode_identifier(value, "targetParticipants")).identifier for value in targets]
    context, url = request.context, request.operation_callback_url
    for target in moved:
        leg.spawn(_move(leg, source, target, context, url))
    participants = [source.call.participants[target.raw_id].json() for target in moved]
    body: Json = {"participants": participants, "fromCall": source.call.connection_id}
    return AnswerOperation(202, body | request.context_body())


async def _move(leg: Leg, source: Leg, target: Identifier, context: str | None, url: str | None) -> None:
    about: Json = {"participant": target.json(), "fromCall": source.call.connection_id}
    if target.raw_id in leg.call.participants or target.raw_id not in source.call.participants:
        message = "The participant cannot be moved: it is in this call, or has left the other."
        failed = events.failed(leg.call, "MoveParticipantFailed", context, 400, 8523, message, **about)
        leg.callbacks.put(failed, url=url)
        return
    script = source.scripts.get(target.raw_id)
    person = source.caller if script is None else script.person
    plan = leg.shared.plan(leg.call, target)
    remaining = person.remaining
    _take_from(source, target)
    join(leg, target, plan, remaining)
    leg.callbacks.put(events.completed(leg.call, "MoveParticipantSucceeded", context, **about), url=url)
    leg.roster.publish()


def _take_from(source: Leg, target: Identifier) -> None:
    call, form = source.call, source.shared.forms(source.call).emptied_call
    call.note("moved", participant=target.raw_id)
    if len(call.people) > 1:
        source.take_out(target, ended_by_acs("moved", 5010))
        return
    source.release(target)
    if form != "stays":
        source.spawn(_end_empty(source, int(form)))


async def _end_empty(source: Leg, sub_code: int) -> None:
    await asyncio.sleep(_EMPTY_S)
    source.end(ended_by_acs("emptied", sub_code))
