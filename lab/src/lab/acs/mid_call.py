"""REST operations on an established call: properties, hang-up, media streaming, tones, hold."""

from __future__ import annotations

import asyncio

from lab.acs import callback_events as events
from lab.acs.acs_errors import InvalidArgumentError, NotConfiguredError, WrongStateError
from lab.acs.call_ends import HUNG_UP_BY_APP
from lab.acs.leg import Leg
from lab.acs.media_codec import DTMF_CHARACTERS
from lab.acs.operation import AnswerOperation, Request

MAX_TONES = 18
_TONE_S = 0.1


async def get_call(request: Request) -> AnswerOperation:
    return AnswerOperation(200, request.leg().call.properties())


async def hang_up(request: Request) -> AnswerOperation:
    request.leg().end(HUNG_UP_BY_APP)
    return AnswerOperation(204)


async def leave(request: Request) -> AnswerOperation:
    """Leave the call, which ends a call of two participants like `hang_up`."""
    leg = request.leg()
    if len(leg.call.participants) > 2:
        request.pretend("hang_up")
    leg.end(HUNG_UP_BY_APP)
    return AnswerOperation(204)


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
    request.identifier("targetParticipant")
    tones = request.body.get("tones")
    if not isinstance(tones, list) or not 1 <= len(tones) <= MAX_TONES:
        raise InvalidArgumentError(f"The field Tones must contain 1 to {MAX_TONES} tones, got {tones!r}.")
    characters = [DTMF_CHARACTERS.get(str(tone).lower()) for tone in tones]
    if None in characters:
        raise InvalidArgumentError(f"The field Tones contains an unknown tone: {tones!r}.")
    leg.spawn(_send_tones(leg, "".join(filter(None, characters)), request.context, request.operation_callback_url))
    return request.accepted()


async def _send_tones(leg: Leg, tones: str, context: str | None, url: str | None) -> None:
    for tone in tones:
        leg.call.note("dtmf", tone=tone, by="agent")
        await asyncio.sleep(_TONE_S)
    leg.callbacks.put(events.completed(leg.call, "SendDtmfTonesCompleted", context), url=url)


async def start_continuous_dtmf(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    if leg.participant(request.identifier("targetParticipant")).identifier != leg.call.caller:
        request.pretend("start_dtmf.targetParticipant")
    leg.call.continuous_dtmf = request.context or ""
    return AnswerOperation(200)


async def stop_continuous_dtmf(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    leg.participant(request.identifier("targetParticipant"))
    leg.call.continuous_dtmf = None
    leg.callbacks.put(events.completed(leg.call, "ContinuousDtmfRecognitionStopped", request.context))
    return AnswerOperation(200)


async def hold(request: Request) -> AnswerOperation:
    return _set_hold(request, on_hold=True)


async def unhold(request: Request) -> AnswerOperation:
    return _set_hold(request, on_hold=False)


def _set_hold(request: Request, *, on_hold: bool) -> AnswerOperation:
    leg = request.connected_leg()
    participant = leg.participant(request.identifier("targetParticipant"))
    participant.on_hold = on_hold
    if leg.call.line is not None and participant.identifier == leg.call.caller:
        leg.call.line.on_hold = on_hold
    leg.call.note("hold" if on_hold else "unhold", participant=participant.identifier.raw_id)
    leg.callbacks.put(events.participants_updated(leg.call))
    return AnswerOperation(200)
