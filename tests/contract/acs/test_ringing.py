"""The unmodified Python SDK answers, creates, rejects and redirects calls of the simulated ACS."""

from __future__ import annotations

import asyncio

import pytest
from azure.communication.callautomation import (
    CallConnectionState,
    CallRejectReason,
    CommunicationUserIdentifier,
    PhoneNumberIdentifier,
)
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from tests.contract.support.acs_stage import Stage, acs_stage, data, result_codes, types
from tests.support.eventually import eventually


async def test_answer_connects_with_media_and_callbacks_in_the_order_of_the_real_service(stage: Stage) -> None:
    call_id = await stage.place()
    answer = await stage.client().answer_call(
        stage.context(), stage.callback_url, operation_context="oc", media_streaming=stage.streaming()
    )
    assert answer.call_connection_state == CallConnectionState.CONNECTING
    assert answer.callback_url == stage.callback_url
    assert answer.source is not None
    assert answer.source.raw_id == "4:+14255550100"
    await stage.reception.event("MediaStreamingStarted")
    first, second = stage.reception.callbacks
    assert types(first.events) == ["CallConnected", "ParticipantsUpdated"]
    assert types(second.events) == ["MediaStreamingStarted"]
    assert first.path == "/callbacks/one?token=se%2Fcret"
    connected = data(first.events[0])
    assert connected["operationContext"] == "oc"
    assert connected["callConnectionId"] == answer.call_connection_id
    assert connected["version"] == "2026-03-12"
    assert connected["publicEventType"] == "Microsoft.Communication.CallConnected"
    media = await stage.media.connection()
    assert media.path == "/ws/call/token?k=v"
    assert media.headers["x-ms-call-connection-id"] == answer.call_connection_id
    names = [entry["event"] for entry in await stage.timeline(call_id)]
    assert names.index("answered") < names.index("media_open") < names.index("call_connected")
    update = data(second.events[0])["mediaStreamingUpdate"]
    assert update == {
        "contentType": "Audio",
        "mediaStreamingStatus": "mediaStreamingStarted",
        "mediaStreamingStatusDetails": "subscriptionStarted",
    }


async def test_a_call_cannot_be_answered_twice(stage: Stage) -> None:
    await stage.place()
    client = stage.client()
    await client.answer_call(stage.context(), stage.callback_url)
    with pytest.raises(ResourceExistsError):
        await client.answer_call(stage.context(), stage.callback_url)


async def test_the_same_repeatability_id_gets_the_first_answer_again(stage: Stage) -> None:
    await stage.place()
    client = stage.client()
    once = "0a1b2c3d-0000-4000-8000-000000000001"
    first, again = [
        await client.answer_call(stage.context(), stage.callback_url, headers={"Repeatability-Request-ID": once})
        for _ in range(2)
    ]
    assert again.call_connection_id == first.call_connection_id


async def test_a_stale_context_is_refused_with_idx23010() -> None:
    async with acs_stage(ring_timeout_s=0.05) as stage:
        call_id = await stage.place()
        await stage.state(call_id, "unanswered")
        with pytest.raises(HttpResponseError, match=r"^\(BadRequest\) IDX23010: Lifetime validation") as refused:
            await stage.client().answer_call(stage.context(), stage.callback_url)
        assert refused.value.status_code == 400


async def test_answering_after_the_caller_hung_up_finds_no_call(stage: Stage) -> None:
    call_id = await stage.place()
    assert (await stage.lab.post(f"/lab/calls/{call_id}/hangup")).status_code == 200
    with pytest.raises(ResourceNotFoundError) as refused:
        await stage.client().answer_call(stage.context(), stage.callback_url)
    assert refused.value.error is not None
    assert refused.value.error.code == "8522"
    assert (await stage.call(call_id))["end_reason"] == "caller_canceled"
    assert stage.reception.callbacks == []


async def test_an_invented_context_and_a_wrong_callback_url_are_invalid_arguments(stage: Stage) -> None:
    client = stage.client()
    with pytest.raises(HttpResponseError, match="IncomingCallContext is invalid"):
        await client.answer_call("eyJ.invented", stage.callback_url)
    await stage.place()
    with pytest.raises(HttpResponseError, match="CallbackUri is invalid"):
        await client.answer_call(stage.context(), "not a url")
    with pytest.raises(HttpResponseError, match="transportUrl is invalid"):
        await client.answer_call(
            stage.context(), stage.callback_url, media_streaming=stage.streaming(url="http://not.a/socket")
        )


async def test_reject_and_redirect_end_the_ringing_without_callbacks(stage: Stage) -> None:
    client = stage.client()
    rejected = await stage.place()
    await client.reject_call(stage.context(), call_reject_reason=CallRejectReason.BUSY)
    redirected = await stage.place()
    await client.redirect_call(stage.context(), PhoneNumberIdentifier("+14255550199"))
    assert (await stage.call(rejected))["state"] == "rejected"
    assert (await stage.timeline(rejected, "rejected"))[0]["reason"] == "busy"
    assert (await stage.call(redirected))["state"] == "redirected"
    assert (await stage.call(redirected))["redirected_to"] == "4:+14255550199"
    assert (await stage.timeline(redirected, "redirected"))[0]["target"] == "4:+14255550199"
    with pytest.raises(ResourceExistsError):
        await client.answer_call(stage.context(), stage.callback_url)
    assert stage.reception.callbacks == []


async def test_an_outbound_call_connects_when_the_callee_answers(stage: Stage) -> None:
    await stage.lab.put("/lab/callee", json={"after_s": 0.05})
    created = await stage.client().create_call(
        PhoneNumberIdentifier("+14255550123"),
        stage.callback_url,
        source_caller_id_number=PhoneNumberIdentifier("+18005551212"),
        operation_context="out",
        media_streaming=stage.streaming(),
    )
    assert created.targets is not None
    assert created.targets[0].raw_id == "4:+14255550123"
    connected = await stage.reception.event("CallConnected")
    assert data(connected)["operationContext"] == "out"
    assert (await stage.media.connection()).headers["x-ms-call-connection-id"] == created.call_connection_id


async def test_an_outbound_call_to_a_busy_callee_fails(stage: Stage) -> None:
    await stage.lab.put("/lab/callee", json={"after_s": 0.0, "outcome": "busy"})
    await stage.client().create_call(CommunicationUserIdentifier("8:acs:res_user"), stage.callback_url)
    failed = data(await stage.reception.event("CreateCallFailed"))
    assert failed["resultInformation"] == {
        "code": 486,
        "subCode": 560486,
        "message": "Call was rejected as the callee is busy. DiagCode: 486#560486.@",
    }
    ended = data(await stage.reception.event("CallDisconnected"))
    assert ended["resultInformation"] == failed["resultInformation"]


@pytest.mark.parametrize(
    ("form", "events"),
    [
        ("failed_first", ["CreateCallFailed", "CallDisconnected"]),
        ("disconnected_first", ["CallDisconnected", "CreateCallFailed"]),
        ("failed_only", ["CreateCallFailed"]),
        ("disconnected_only", ["CallDisconnected"]),
    ],
)
async def test_a_failed_outbound_call_is_reported_in_every_form(stage: Stage, form: str, events: list[str]) -> None:
    await stage.forms(failed_create=form)
    await stage.lab.put("/lab/callee", json={"after_s": 0.0, "outcome": "declined", "code": 200, "subCode": 5002})
    await stage.client().create_call(CommunicationUserIdentifier("8:acs:res_user"), stage.callback_url)
    [call] = (await stage.lab.get("/lab/calls")).json()["calls"]
    await stage.noted(call["id"], "callback_sent", count=len(events))
    await stage.state(call["id"], "ended")
    assert stage.reception.order() == events
    assert result_codes(await stage.reception.event(events[0])) == (200, 5002)


@pytest.mark.parametrize(
    ("form", "events"),
    [
        ("disconnected", ["CallDisconnected"]),
        ("failed_too", ["CreateCallFailed", "CallDisconnected"]),
        ("no_event", []),
    ],
)
async def test_a_ringing_outbound_call_is_hung_up_in_every_form(stage: Stage, form: str, events: list[str]) -> None:
    await stage.forms(hang_up_while_ringing=form)
    await stage.lab.put("/lab/callee", json={"after_s": 60.0})
    client = stage.client()
    created = await client.create_call(CommunicationUserIdentifier("8:acs:res_user"), stage.callback_url)
    assert created.call_connection_id is not None
    connection = client.get_call_connection(created.call_connection_id)
    await connection.hang_up(is_for_everyone=False)
    [call] = (await stage.lab.get("/lab/calls")).json()["calls"]
    await stage.noted(call["id"], "ended")
    await eventually(lambda: len(stage.reception.order()) >= len(events))
    assert stage.reception.order() == events
    with pytest.raises(ResourceNotFoundError):
        await connection.get_call_properties()


async def test_a_ringing_outbound_call_can_refuse_the_hang_up(stage: Stage) -> None:
    await stage.forms(hang_up_while_ringing="refused")
    await stage.lab.put("/lab/callee", json={"after_s": 1.5})
    client = stage.client()
    created = await client.create_call(CommunicationUserIdentifier("8:acs:res_user"), stage.callback_url)
    assert created.call_connection_id is not None
    connection = client.get_call_connection(created.call_connection_id)
    with pytest.raises(HttpResponseError, match="not established"):
        await connection.hang_up(is_for_everyone=True)
    await stage.reception.event("CallConnected")
    await connection.hang_up(is_for_everyone=True)
    await stage.reception.event("CallDisconnected")


async def test_a_phone_number_is_not_called_without_a_caller_id(stage: Stage) -> None:
    with pytest.raises(HttpResponseError, match="SourceCallerIdNumber"):
        await stage.client().create_call(PhoneNumberIdentifier("+14255550123"), stage.callback_url)


async def test_many_calls_are_answered_at_once(stage: Stage) -> None:
    ids = [await stage.place(audio="silence") for _ in range(10)]
    client = stage.client()
    answers = await asyncio.gather(
        *(
            client.answer_call(stage.context(number), stage.callback_url, media_streaming=stage.streaming())
            for number in range(10)
        )
    )
    assert len({answer.call_connection_id for answer in answers}) == 10
    for call_id in ids:
        await stage.state(call_id, "connected")
    await eventually(lambda: all(len(one.of_kind("AudioData")) > 5 for one in stage.media.connections))
