"""The unmodified Python SDK holds and resumes a participant."""

from __future__ import annotations

import pytest
from azure.communication.callautomation import PhoneNumberIdentifier, TextSource
from azure.core.exceptions import ResourceNotFoundError

from tests.contract.support.acs_stage import Stage, data, result_codes
from tests.support.eventually import eventually

CALLER = PhoneNumberIdentifier("+14255550100")
MUSIC = TextSource(text="Please hold the line.")


async def test_a_caller_on_hold_is_not_heard(stage: Stage) -> None:
    call_id, connection = await stage.connected()
    await connection.hold(CALLER)
    await stage.noted(call_id, "hold")
    participant = await connection.get_participant(CALLER)
    assert participant.is_on_hold
    await connection.unhold(CALLER)
    assert not (await connection.get_participant(CALLER)).is_on_hold
    with pytest.raises(ResourceNotFoundError):
        await connection.hold(PhoneNumberIdentifier("+19999999999"))


async def test_hold_audio_is_heard_until_unhold_and_reported(stage: Stage) -> None:
    call_id, connection = await stage.connected()
    await stage.reception.event("MediaStreamingStarted")
    await connection.hold(CALLER, play_source=MUSIC, operation_context="h")
    started = data(await stage.reception.event("HoldAudioStarted"))
    assert started["operationContext"] == "h"
    await stage.noted(call_id, "agent_starts")
    await connection.unhold(CALLER, operation_context="u")
    completed = await stage.reception.event("HoldAudioCompleted")
    assert result_codes(completed) == (400, 8508)
    assert data(completed)["operationContext"] == "u"
    await eventually(lambda: len(stage.reception.events("ParticipantsUpdated")) == 3)
    assert stage.reception.order()[-4:] == [
        *("ParticipantsUpdated", "HoldAudioStarted", "HoldAudioCompleted", "ParticipantsUpdated")
    ]
    await stage.noted(call_id, "agent_ends")


async def test_a_prompt_to_the_held_party_pauses_the_hold_audio(stage: Stage) -> None:
    call_id, connection = await stage.connected()
    await connection.hold(CALLER, play_source=MUSIC)
    await stage.reception.event("HoldAudioStarted")
    await connection.play_media(TextSource(text="One moment.", voice_name="any"), play_to=[CALLER])
    await stage.reception.event("PlayCompleted")
    await stage.reception.event("HoldAudioResumed")
    audio = [name for name in stage.reception.order() if name.startswith(("Hold", "Play"))]
    assert audio == ["HoldAudioStarted", "HoldAudioPaused", "PlayStarted", "HoldAudioResumed", "PlayCompleted"]
    assert (await stage.call(call_id))["state"] == "connected"


async def test_hold_can_be_without_events_of_its_own(stage: Stage) -> None:
    await stage.forms(hold_events="roster_only")
    call_id, connection = await stage.connected()
    await connection.hold(CALLER, play_source=MUSIC)
    await stage.noted(call_id, "hold_audio")
    await connection.unhold(CALLER)
    await eventually(lambda: len(stage.reception.events("ParticipantsUpdated")) == 3)
    assert not [name for name in stage.reception.order() if name.startswith("Hold")]


async def test_hold_can_fail(stage: Stage) -> None:
    await stage.forms(hold_events="failed")
    _, connection = await stage.connected()
    await connection.hold(CALLER, operation_context="h")
    failed = await stage.reception.event("HoldFailed")
    assert result_codes(failed) == (400, 8501)
    assert not (await connection.get_participant(CALLER)).is_on_hold
