"""The unmodified Python SDK starts and stops media streaming; the network interrupts it."""

from __future__ import annotations

import pytest
from azure.communication.callautomation import AudioFormat
from azure.core.exceptions import HttpResponseError

from tests.contract.support.acs_stage import Stage, acs_stage, data
from tests.support.eventually import eventually


def details(event: dict[str, object]) -> tuple[object, object]:
    update = data(event)["mediaStreamingUpdate"]
    assert isinstance(update, dict)
    return update["mediaStreamingStatus"], update["mediaStreamingStatusDetails"]


async def test_streaming_is_stopped_and_started_again_on_the_same_url(stage: Stage) -> None:
    call_id, connection = await stage.connected()
    first = await stage.media.connection()
    await stage.reception.event("MediaStreamingStarted")
    with pytest.raises(HttpResponseError) as refused:
        await connection.start_media_streaming()
    assert refused.value.error is not None
    assert refused.value.error.code == "8585"
    await connection.stop_media_streaming(operation_context="stop")
    stopped = await stage.reception.event("MediaStreamingStopped")
    assert data(stopped)["operationContext"] == "stop"
    await eventually(lambda: first.socket.close_code == 1000)
    await connection.start_media_streaming(
        operation_context="again", operation_callback_url=stage.url_of("/callbacks/other")
    )
    await eventually(lambda: len(stage.reception.events("MediaStreamingStarted")) == 2)
    assert stage.reception.callbacks[-1].path == "/callbacks/other"
    assert data(stage.reception.events("MediaStreamingStarted")[1])["operationContext"] == "again"
    second = await stage.media.connection(2)
    assert second.path == first.path
    assert second.headers["authorization"] != first.headers["authorization"]
    await eventually(lambda: second.of_kind("AudioData"))
    assert second.messages[0][1]["kind"] == "AudioMetadata"
    assert (await stage.call(call_id))["state"] == "connected"


async def test_without_start_there_is_no_socket_until_streaming_is_started(stage: Stage) -> None:
    call_id = await stage.place()
    client = stage.client()
    answer = await client.answer_call(
        stage.context(),
        stage.callback_url,
        media_streaming=stage.streaming(start=False, audio_format=AudioFormat.PCM24_K_MONO),
    )
    await stage.reception.event("CallConnected")
    assert stage.media.connections == []
    assert answer.call_connection_id is not None
    await client.get_call_connection(answer.call_connection_id).start_media_streaming()
    media = await stage.media.connection()
    await eventually(lambda: media.of_kind("AudioMetadata"))
    metadata = media.of_kind("AudioMetadata")[0]["audioMetadata"]
    assert isinstance(metadata, dict)
    assert (metadata["sampleRate"], metadata["length"], metadata["channels"]) == (24_000, 960, 1)
    await stage.noted(call_id, "media_streaming_started")


async def test_streaming_that_was_not_configured_cannot_be_started(stage: Stage) -> None:
    call_id = await stage.place()
    client = stage.client()
    answer = await client.answer_call(stage.context(), stage.callback_url)
    await stage.state(call_id, "connected")
    assert answer.call_connection_id is not None
    with pytest.raises(HttpResponseError) as refused:
        await client.get_call_connection(answer.call_connection_id).start_media_streaming()
    assert (refused.value.status_code, refused.value.error and refused.value.error.code) == (405, "8522")


@pytest.mark.parametrize("fault", ["refused", "slow", "nobody"])
async def test_a_socket_that_does_not_open_in_time_is_8581(fault: str) -> None:
    async with acs_stage(media_connect_timeout_s=0.2) as stage:
        if fault == "refused":
            stage.media.refuse_status = 403
        elif fault == "slow":
            stage.media.accept_delay_s = 1.0
        url = "ws://127.0.0.1:1/ws" if fault == "nobody" else ""
        call_id = await stage.place()
        await stage.client().answer_call(stage.context(), stage.callback_url, media_streaming=stage.streaming(url=url))
        failed = await stage.reception.event("MediaStreamingFailed")
        assert details(failed) == ("mediaStreamingFailed", "initialWebSocketConnectionFailed")
        info = data(failed)["resultInformation"]
        assert isinstance(info, dict)
        assert (info["code"], info["subCode"]) == (400, 8581)
        assert (await stage.call(call_id))["state"] == "connected"
        assert len(await stage.timeline(call_id, "media_refused")) == 1


@pytest.mark.parametrize("form", ["reported", "early"])
async def test_a_refused_socket_may_be_reported_before_the_call_is_connected(stage: Stage, form: str) -> None:
    await stage.forms(refused_media=form)
    stage.media.refuse_status = 503
    await stage.connected()
    await stage.reception.event("MediaStreamingFailed")
    await stage.reception.event("CallConnected")
    kinds = [kind for kind in stage.reception.order() if kind in ("CallConnected", "MediaStreamingFailed")]
    assert kinds == ["CallConnected", "MediaStreamingFailed"][:: -1 if form == "early" else 1]


async def test_a_refused_socket_may_be_dialled_again(stage: Stage) -> None:
    await stage.forms(refused_media="redialed")
    stage.media.refuse_status = 503
    call_id = await stage.place()
    await stage.client().answer_call(stage.context(), stage.callback_url, media_streaming=stage.streaming())
    await stage.noted(call_id, "media_refused")
    stage.media.refuse_status = None
    await stage.media.connection()
    await stage.reception.event("MediaStreamingStarted")


async def test_a_refused_socket_that_is_not_reported_leaves_streaming_running(stage: Stage) -> None:
    await stage.forms(refused_media="silent")
    stage.media.refuse_status = 503
    _, connection = await stage.connected()
    with pytest.raises(HttpResponseError) as refused:
        await connection.start_media_streaming()
    assert refused.value.error is not None
    assert refused.value.error.code == "8585"
    stage.media.refuse_status = None
    await connection.stop_media_streaming()
    await connection.start_media_streaming()
    await stage.media.connection()
    assert not stage.reception.events("MediaStreamingFailed")


async def test_a_lost_socket_is_dialled_again(stage: Stage) -> None:
    call_id, _ = await stage.connected()
    first = await stage.media.connection()
    await eventually(lambda: first.of_kind("AudioData"))
    await first.socket.close(1012)
    second = await stage.media.connection(2)
    assert second.path == first.path
    assert second.headers["authorization"] != first.headers["authorization"]
    await eventually(lambda: len(stage.reception.events("MediaStreamingStarted")) == 2)
    again = stage.reception.events("MediaStreamingStarted")[1]
    assert details(again) == ("mediaStreamingStarted", "streamConnectionReestablished")
    assert [entry["code"] for entry in await stage.timeline(call_id, "media_closed")] == [1012]
    await eventually(lambda: second.of_kind("AudioData"))


async def test_after_three_failed_dials_streaming_has_failed_and_can_be_started_again(stage: Stage) -> None:
    call_id, connection = await stage.connected()
    media = await stage.media.connection()
    stage.media.refuse_status = 503
    media.socket.transport.abort()
    failed = await stage.reception.event("MediaStreamingFailed")
    assert details(failed) == ("mediaStreamingFailed", "streamConnectionUnsuccessful")
    assert len(await stage.timeline(call_id, "media_refused")) == 3
    assert [entry["code"] for entry in await stage.timeline(call_id, "media_closed")] == [1006]
    stage.media.refuse_status = None
    await connection.start_media_streaming()
    await stage.media.connection(2)


async def test_without_redial_a_lost_socket_ends_streaming() -> None:
    async with acs_stage(media_redial="off") as stage:
        await stage.connected()
        await (await stage.media.connection()).socket.close(1011)
        failed = await stage.reception.event("MediaStreamingFailed")
        assert details(failed) == ("mediaStreamingFailed", "streamConnectionInterrupted")


async def test_a_server_that_closes_normally_stops_streaming(stage: Stage) -> None:
    call_id, _ = await stage.connected()
    await (await stage.media.connection()).socket.close(1000)
    stopped = await stage.reception.event("MediaStreamingStopped")
    assert details(stopped) == ("mediaStreamingStopped", "subscriptionStopped")
    assert (await stage.call(call_id))["state"] == "connected"
    assert len(stage.media.connections) == 1


async def test_a_lost_socket_that_is_dialled_once_is_not_dialled_again() -> None:
    async with acs_stage(media_redial="once") as stage:
        call_id, _ = await stage.connected()
        media = await stage.media.connection()
        stage.media.refuse_status = 503
        media.socket.transport.abort()
        failed = await stage.reception.event("MediaStreamingFailed")
        assert details(failed) == ("mediaStreamingFailed", "streamConnectionUnsuccessful")
        assert len(await stage.timeline(call_id, "media_refused")) == 1


@pytest.mark.parametrize(("context", "expected"), [("answer", "answer"), ("start", "again"), ("none", None)])
async def test_a_loss_is_posted_with_the_context_that_is_set(context: str, expected: str | None) -> None:
    async with acs_stage(media_redial="off", media_loss_context=context) as stage:
        call_id = await stage.place()
        answer = await stage.client().answer_call(
            stage.context(),
            stage.callback_url,
            media_streaming=stage.streaming(start=False),
            operation_context="answer",
        )
        await stage.state(call_id, "connected")
        connection = stage.client().get_call_connection(str(answer.call_connection_id))
        await connection.start_media_streaming(operation_context="again")
        await stage.reception.event("MediaStreamingStarted")
        (await stage.media.connection()).socket.transport.abort()
        failed = await stage.reception.event("MediaStreamingFailed")
        assert data(failed).get("operationContext") == expected


async def test_a_loss_may_be_posted_as_a_stop() -> None:
    async with acs_stage(media_redial="off", media_loss_callback="stopped") as stage:
        _, connection = await stage.connected()
        (await stage.media.connection()).socket.transport.abort()
        await stage.reception.event("MediaStreamingStopped")
        await connection.start_media_streaming()
        await stage.media.connection(2)


async def test_a_loss_that_is_not_reported_leaves_streaming_running_until_it_is_stopped() -> None:
    async with acs_stage(media_redial="off", media_loss_callback="none") as stage:
        call_id, connection = await stage.connected()
        (await stage.media.connection()).socket.transport.abort()
        await stage.noted(call_id, "media_given_up")
        with pytest.raises(HttpResponseError) as refused:
            await connection.start_media_streaming()
        assert refused.value.error is not None
        assert refused.value.error.code == "8585"
        assert not stage.reception.events("MediaStreamingFailed")
        await connection.stop_media_streaming()
        await connection.start_media_streaming()
        await stage.media.connection(2)


async def test_a_socket_that_is_slow_to_close_is_not_mistaken_for_the_next_one(stage: Stage) -> None:
    """The server of the first socket does not close it while streaming is stopped and started again."""
    call_id, connection = await stage.connected()
    first = await stage.media.connection()
    first.socket.transport.pause_reading()
    await connection.stop_media_streaming()
    await connection.start_media_streaming()
    second = await stage.media.connection(2)
    await stage.noted(call_id, "old_media_closed")
    before = len(second.of_kind("AudioData"))
    await eventually(lambda: len(second.of_kind("AudioData")) > before)
    assert len(stage.media.connections) == 2
    assert not stage.reception.events("MediaStreamingFailed")
    first.socket.transport.resume_reading()  # Otherwise the stop of the server waits ten seconds for this socket.
