"""A call from the first ring to its end. Afterwards all its resources are released."""

from __future__ import annotations

import asyncio

import pytest
from azure.communication.callautomation import CallConnectionState

from tests.contract.support.acs_stage import Stage, acs_stage, data
from tests.support.eventually import eventually


async def test_an_unanswered_call_stops_ringing_without_a_callback() -> None:
    async with acs_stage(ring_timeout_s=0.1) as stage:
        call_id = await stage.place()
        await stage.state(call_id, "unanswered")
        assert [entry["event"] for entry in await stage.timeline(call_id)][-2:] == ["unanswered", "ended"]
        assert stage.reception.callbacks == []


async def test_a_caller_who_hangs_up_ends_the_call_with_the_documented_codes(stage: Stage) -> None:
    call_id, _ = await stage.connected()
    await stage.reception.event("MediaStreamingStarted")
    await stage.lab.post(f"/lab/calls/{call_id}/hangup")
    ended = data(await stage.reception.event("CallDisconnected"))
    assert ended["resultInformation"] == {
        "code": 200, "subCode": 560000, "message": "The conversation has ended. DiagCode: 0#560000.@",
    }  # fmt: skip
    media = await stage.media.connection()
    await eventually(lambda: media.socket.close_code == 1000)
    await stage.noted(call_id, "ended")
    frames = len(media.of_kind("AudioData"))
    assert (await stage.call(call_id))["end_reason"] == "caller_hung_up"
    again = await stage.lab.post(f"/lab/calls/{call_id}/hangup")
    assert (again.status_code, again.json()) == (409, {"error": "the call is ended"})
    assert len(media.of_kind("AudioData")) == frames
    assert (await stage.lab.get("/healthz")).json() == {"status": "ok", "active_calls": 0}


@pytest.mark.parametrize(
    ("caller", "given", "asked", "result"),
    [
        ("8:acs:res_ada", {}, {}, (200, 5002)),
        ("8:acs:res_ada", {"hangUp": {"subCode": 18503}}, {}, (200, 18503)),
        ("8:orgid:ada", {"hangUp": {"subCode": 18503}}, {"code": 0, "subCode": 5010}, (0, 5010)),
        ("4:anonymous", {"hangUp": {"subCode": 540000}}, {}, (200, 540000)),
    ],
)
async def test_a_hang_up_is_reported_in_the_form_that_is_asked_for(
    stage: Stage, caller: str, given: dict[str, object], asked: dict[str, object], result: tuple[int, int]
) -> None:
    call_id = await stage.place(**({"from": caller} | given))
    await stage.client().answer_call(stage.context(), stage.callback_url)
    await stage.state(call_id, "connected")
    assert (await stage.lab.post(f"/lab/calls/{call_id}/hangup", json=asked)).status_code == 200
    info = data(await stage.reception.event("CallDisconnected"))["resultInformation"]
    assert isinstance(info, dict)
    assert (info["code"], info["subCode"]) == result
    assert (await stage.call(call_id))["end_reason"] == "caller_hung_up"


async def test_hanging_up_while_connecting_leaves_no_socket_behind() -> None:
    async with acs_stage(media_open_delay_s=0.2) as stage:
        call_id = await stage.place()
        client = stage.client()
        answer = await client.answer_call(stage.context(), stage.callback_url, media_streaming=stage.streaming())
        assert answer.call_connection_id is not None
        await client.get_call_connection(answer.call_connection_id).hang_up(is_for_everyone=True)
        await stage.reception.event("CallDisconnected")
        assert stage.reception.order() == ["CallDisconnected"]
        await stage.noted(call_id, "ended")
        await asyncio.sleep(0.3)  # Longer than the delay before a socket is opened.
        assert stage.media.connections == []


async def test_a_call_without_media_is_connected_and_its_steps_run(stage: Stage) -> None:
    call_id = await stage.place(steps=[{"pause_ms": 40}, {"hang_up": True}])
    answer = await stage.client().answer_call(stage.context(), stage.callback_url)
    assert answer.call_connection_state == CallConnectionState.CONNECTING
    await stage.state(call_id, "ended")
    await stage.reception.event("CallDisconnected")
    assert stage.reception.order() == ["CallConnected", "ParticipantsUpdated", "CallDisconnected"]
    assert stage.media.connections == []


async def test_the_media_socket_opens_before_call_connected_is_posted(stage: Stage) -> None:
    await stage.connected()
    await stage.reception.event("CallConnected")
    media = await stage.media.connection()
    await eventually(lambda: media.messages)
    assert media.messages[0][0] < stage.reception.callbacks[0].t
