"""Hold and unhold of one participant, with the recorded HoldAudio events (not in the SDK's models)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from lab.acs import callback_events as events
from lab.acs.acs_errors import invalid_field
from lab.acs.calls import Participant
from lab.acs.hold_audio import HoldAudio
from lab.acs.leg import Leg
from lab.acs.operation import AnswerOperation, Request
from lab.acs.play_operation import PlayError, check_source, render_source
from lab.acs.teams_phone import refuse_in_teams

_AUDIO_AFTER_S = 0.7
CANCELED = (400, 8508, "Action failed, the operation was cancelled.")


async def hold(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    refuse_in_teams(leg.call, "Hold")
    participant = leg.participant(request.identifier("targetParticipant"))
    source = request.body.get("playSourceInfo")
    if source is not None and not isinstance(source, Mapping):
        raise invalid_field("playSourceInfo")
    if source is not None:
        check_source(source)
    context, url = request.context, request.operation_callback_url
    if leg.shared.forms(leg.call).hold_events == "failed":
        leg.callbacks.put(events.failed(leg.call, "HoldFailed", context, 400, 8501, "Action failed."), url=url)
        return AnswerOperation(200)
    _set(leg, participant, on_hold=True)
    line = leg.call.lines.get(participant.identifier.raw_id)
    if source is not None and line is not None:
        audio = HoldAudio(line, partial(_report, leg, context, url))
        leg.held[participant.identifier.raw_id] = audio
        audio.task = leg.spawn(_play(leg, audio, source, context, url))
    return AnswerOperation(200)


async def unhold(request: Request) -> AnswerOperation:
    leg = request.connected_leg()
    refuse_in_teams(leg.call, "Unhold")
    participant = leg.participant(request.identifier("targetParticipant"))
    raw_id = participant.identifier.raw_id
    context, url = request.context, request.operation_callback_url
    audio = leg.held.pop(raw_id, None)
    if audio is not None:
        audio.stop()
        if leg.shared.forms(leg.call).hold_events == "audio":
            leg.callbacks.put(events.failed(leg.call, "HoldAudioCompleted", context, *CANCELED), url=url)
    _set(leg, participant, on_hold=False)
    return AnswerOperation(200)


def _set(leg: Leg, participant: Participant, *, on_hold: bool) -> None:
    identifier = participant.identifier
    participant.on_hold = on_hold
    line = leg.call.lines.get(identifier.raw_id)
    if line is not None:
        line.on_hold = on_hold
    leg.call.note("hold" if on_hold else "unhold", participant=identifier.raw_id)
    leg.roster.publish()


async def _play(leg: Leg, audio: HoldAudio, source: Mapping[str, object], context: str | None, url: str | None) -> None:
    try:
        pcm = await render_source(leg, source, audio.line.rate_hz)
    except PlayError as error:
        failed = events.failed(leg.call, "HoldFailed", context, 400, error.sub_code, str(error))
        leg.callbacks.put(failed, url=url)
        return
    await audio.run(pcm, _AUDIO_AFTER_S)


def _report(leg: Leg, context: str | None, url: str | None, event: str) -> None:
    leg.call.note("hold_audio", what=event)
    if leg.shared.forms(leg.call).hold_events == "audio":
        leg.callbacks.put(events.completed(leg.call, event, context), url=url)
