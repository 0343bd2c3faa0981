"""REST operations on an established call: properties, hang-up, media streaming, tones."""

from __future__ import annotations

import asyncio

from lab.acs import callback_events as events
from lab.acs.acs_errors import InvalidArgumentError, NotConfiguredError, TooEarlyError, WrongStateError
from lab.acs.call_ends import CANCELED_OUTBOUND, HUNG_UP_BY_APP, ended_by_acs
from lab.acs.calls import CallState
from lab.acs.leg import Leg
from lab.acs.media_codec import DTMF_CHARACTERS
from lab.acs.operation import AnswerOperation, Request
from lab.acs.party_identifiers import Identifier

MAX_TONES = 18
_TONE_S = 0.1
_LEFT_S = 1.0


async def get_call(request: Request) -> AnswerOperation:
    return AnswerOperation(200, request.leg().call.properties())


async def hang_up(request: Request) -> AnswerOperation:
    _end(request.leg())
    return AnswerOperation(204)


def _end(leg: Leg) -> None:
    """Hang up for everyone; for an outbound call that still rings, in the form that is set."""
    call, form = leg.call, leg.shared.forms(leg.call).hang_up_while_ringing
    if not call.outbound or call.state is CallState.CONNECTED or form == "disconnected":
        leg.end(HUNG_UP_BY_APP)
        return
    if form == "refused":
        raise TooEarlyError("Action is invalid when the call is not established.")
    if form == "failed_too":
        leg.callbacks.put(events.create_call_failed(call, CANCELED_OUTBOUND))
    leg.end(HUNG_UP_BY_APP, report=form != "no_event")


async def leave(request: Request) -> AnswerOperation:
    """Leave the call, which ends a call of two participants like `hang_up`. Whether the others go on is a form."""
    leg = request.leg()
    form = leg.shared.forms(leg.call).leaving
    if len(leg.call.people) < 2:
        _end(leg)
    elif form == "refused":
        raise WrongStateError("The application cannot leave this call; end it for everyone.")
    else:
        leg.disconnect_app(HUNG_UP_BY_APP)
        if form == "ends_call":
            leg.spawn(_end_later(leg))
    return AnswerOperation(204)


async def _end_later(leg: Leg) -> None:
    await asyncio.sleep(_LEFT_S)
    leg.end(ended_by_acs("initiator_left", 5007))


async def start_media_streaming(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    leg.call.counters["media_starts_asked"] += 1
    media = leg.call.media
    if media is None:
        raise NotConfiguredError("The call was set up without media streaming options.")
    if leg.call.media_state == "active":
        raise WrongStateError("Media streaming was already started.")
    context, url = request.context, request.operation_callback_url
    leg.call.media_state = "active"
    leg.spawn(leg.streaming.start(media, context, url))
    return AnswerOperation(202)


async def stop_media_streaming(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    if leg.call.media_state != "active":
        raise WrongStateError("Media streaming was not started.")
    context, url = request.context, request.operation_callback_url
    leg.spawn(leg.streaming.stop(context, url))
    return AnswerOperation(202)


async def send_dtmf_tones(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    target = leg.participant(request.identifier("targetParticipant")).identifier
    tones = request.body.get("tones")
    if not isinstance(tones, list) or not 1 <= len(tones) <= MAX_TONES:
        raise InvalidArgumentError(f"The field Tones must contain 1 to {MAX_TONES} tones, got {tones!r}.")
    characters = [DTMF_CHARACTERS.get(str(tone).lower()) for tone in tones]
    if None in characters:
        raise InvalidArgumentError(f"The field Tones contains an unknown tone: {tones!r}.")
    context, url = request.context, request.operation_callback_url
    leg.spawn(_send_tones(leg, target, "".join(filter(None, characters)), context, url))
    return request.accepted()


async def _send_tones(leg: Leg, target: Identifier, tones: str, context: str | None, url: str | None) -> None:
    for tone in tones:
        leg.call.note("dtmf", tone=tone, by="agent", participant=target.raw_id)
        await asyncio.sleep(_TONE_S)
        if target.raw_id not in leg.call.participants:
            message = "The participant has left the call."
            leg.callbacks.put(events.failed(leg.call, "SendDtmfTonesFailed", context, 400, 8501, message), url=url)
            return
    leg.callbacks.put(events.completed(leg.call, "SendDtmfTonesCompleted", context), url=url)


async def start_continuous_dtmf(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    target = leg.participant(request.identifier("targetParticipant")).identifier
    leg.call.continuous_dtmf[target.raw_id] = request.context or ""
    return AnswerOperation(200)


async def stop_continuous_dtmf(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    target = leg.participant(request.identifier("targetParticipant")).identifier
    leg.call.continuous_dtmf.pop(target.raw_id, None)
    leg.callbacks.put(events.completed(leg.call, "ContinuousDtmfRecognitionStopped", request.context))
    return AnswerOperation(200)
