"""The unmodified Python SDK controls an established call: properties, tones, hang-up, leaving."""

from __future__ import annotations

import pytest
from azure.communication.callautomation import DtmfTone, PhoneNumberIdentifier
from azure.communication.callautomation.aio import CallConnectionClient
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from lab.heard_audio import find_speech
from lab.speech import synthesize
from tests.contract.support.acs_stage import Stage, data, result_codes
from tests.support.eventually import eventually

CALLER = PhoneNumberIdentifier("+14255550100")
COLLEAGUE = PhoneNumberIdentifier("+14255550177")


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


async def in_group(stage: Stage) -> tuple[str, CallConnectionClient]:
    await stage.people(p177={"after_s": 0.0})
    call_id, connection = await stage.connected()
    await stage.reception.event("MediaStreamingStarted")
    await connection.add_participant(COLLEAGUE, source_caller_id_number=CALLER)
    await stage.reception.event("AddParticipantSucceeded")
    return call_id, connection


async def test_the_application_leaves_and_the_two_people_go_on(stage: Stage) -> None:
    call_id, connection = await in_group(stage)
    media = await stage.media.connection()
    await connection.hang_up(is_for_everyone=False)
    assert result_codes(await stage.reception.event("CallDisconnected")) == (200, 7000)
    assert stage.reception.order()[-2:] == ["MediaStreamingStopped", "CallDisconnected"]
    await eventually(lambda: media.socket.close_code == 1000)
    with pytest.raises(ResourceNotFoundError):
        await connection.get_call_properties()
    call = await stage.call(call_id)
    assert (call["state"], call["app_left"]) == ("connected", True)
    await stage.lab.post(f"/lab/calls/{call_id}/parties/4:+14255550177/say", json={"text": "Are you still there?"})
    await stage.noted(call_id, "participant_ends", within_s=15)
    heard = (await stage.recording(call_id)).agent
    assert find_speech(heard, 16_000, synthesize("Are you still there?", 16_000)).likeness > 0.95
    count = len(stage.reception.callbacks)
    await stage.lab.post(f"/lab/calls/{call_id}/hangup")
    await stage.noted(call_id, "ended")
    assert (await stage.call(call_id))["end_reason"] == "caller_hung_up"
    assert len(stage.reception.callbacks) == count


async def test_leaving_can_end_the_call_of_the_others(stage: Stage) -> None:
    await stage.forms(leaving="ends_call")
    call_id, connection = await in_group(stage)
    await connection.hang_up(is_for_everyone=False)
    await stage.reception.event("CallDisconnected")
    assert (await stage.state(call_id, "ended"))["end_reason"] == "initiator_left"


async def test_leaving_can_be_refused(stage: Stage) -> None:
    await stage.forms(leaving="refused")
    call_id, connection = await in_group(stage)
    with pytest.raises(HttpResponseError, match="cannot leave"):
        await connection.hang_up(is_for_everyone=False)
    assert (await stage.call(call_id))["app_left"] is False
    await connection.hang_up(is_for_everyone=True)
    assert result_codes(await stage.reception.event("CallDisconnected")) == (200, 7000)
    assert (await stage.state(call_id, "ended"))["end_reason"] == "agent_hung_up"


async def test_tones_to_an_absent_party_are_refused_and_to_a_leaving_one_fail(stage: Stage) -> None:
    call_id, connection = await in_group(stage)
    with pytest.raises(ResourceNotFoundError):
        await connection.send_dtmf_tones([DtmfTone.ONE], PhoneNumberIdentifier("+19999999999"))
    await connection.send_dtmf_tones([DtmfTone.ONE] * 18, COLLEAGUE)
    await stage.lab.post(f"/lab/calls/{call_id}/parties/4:+14255550177/hangup")
    assert result_codes(await stage.reception.event("SendDtmfTonesFailed")) == (400, 8501)
