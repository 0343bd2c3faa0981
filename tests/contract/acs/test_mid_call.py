"""The unmodified Python SDK controls an established call: properties, tones, hold, hang-up."""

from __future__ import annotations

import pytest
from azure.communication.callautomation import DtmfTone, PhoneNumberIdentifier
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from tests.contract.support.acs_stage import Stage, data
from tests.support.eventually import eventually

CALLER = PhoneNumberIdentifier("+14255550100")


async def test_properties_follow_the_call(stage: Stage) -> None:
    _, connection = await stage.connected()
    properties = await connection.get_call_properties()
    assert properties.call_connection_state == "connected"
    assert properties.media_streaming_subscription is not None
    assert properties.media_streaming_subscription.state == "active"
    assert properties.answered_for is not None


@pytest.mark.parametrize("for_everyone", [True, False])
async def test_hanging_up_ends_the_call_and_closes_the_socket(stage: Stage, for_everyone: bool) -> None:
    call_id, connection = await stage.connected()
    await stage.reception.event("MediaStreamingStarted")
    await connection.hang_up(is_for_everyone=for_everyone)
    ended = data(await stage.reception.event("CallDisconnected"))
    info = ended["resultInformation"]
    assert isinstance(info, dict)
    assert (info["code"], info["subCode"]) == (200, 7000)
    assert stage.reception.order()[-2:] == ["MediaStreamingStopped", "CallDisconnected"]
    media = await stage.media.connection()
    await eventually(lambda: media.socket.close_code == 1000)
    with pytest.raises(ResourceNotFoundError):
        await connection.get_call_properties()
    call = await stage.call(call_id)
    assert (call["state"], call["end_reason"]) == ("ended", "agent_hung_up")
    await stage.noted(call_id, "ended")


async def test_sent_tones_reach_the_caller_and_are_reported(stage: Stage) -> None:
    call_id, connection = await stage.connected()
    result = await connection.send_dtmf_tones([DtmfTone.ONE, DtmfTone.POUND], CALLER, operation_context="sd")
    assert result.operation_context == "sd"
    completed = data(await stage.reception.event("SendDtmfTonesCompleted"))
    assert completed["operationContext"] == "sd"
    assert [entry["tone"] for entry in await stage.timeline(call_id, "dtmf")] == ["1", "#"]
    with pytest.raises(HttpResponseError):
        await connection.send_dtmf_tones([DtmfTone.ONE] * 19, CALLER)


async def test_pressed_keys_are_reported_as_words_on_callbacks_and_characters_on_the_socket(stage: Stage) -> None:
    call_id, connection = await stage.connected()
    await connection.start_continuous_dtmf_recognition(CALLER, operation_context="cd")
    await stage.lab.post(f"/lab/calls/{call_id}/dtmf", json={"tones": "5#"})
    await eventually(lambda: len(stage.reception.events("ContinuousDtmfRecognitionToneReceived")) == 2)
    tones = [data(event) for event in stage.reception.events("ContinuousDtmfRecognitionToneReceived")]
    assert [(tone["sequenceId"], tone["tone"], tone["operationContext"]) for tone in tones] == [
        (1, "five", "cd"),
        (2, "pound", "cd"),
    ]
    media = await stage.media.connection()
    assert [message["dtmfData"] for message in media.of_kind("DtmfData")] == [{"data": "5"}, {"data": "#"}]
    await connection.stop_continuous_dtmf_recognition(CALLER)
    await stage.reception.event("ContinuousDtmfRecognitionStopped")


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
