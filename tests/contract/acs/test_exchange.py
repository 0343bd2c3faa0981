"""Concurrent calls do not affect each other, and stopping the simulator leaves nothing running."""

from __future__ import annotations

from tests.contract.support.acs_stage import Stage, acs_stage
from tests.support.eventually import eventually


async def test_a_call_that_is_dropped_does_not_touch_its_neighbour(stage: Stage) -> None:
    first, _ = await stage.connected(audio="silence")
    second, _ = await stage.connected(audio="silence")
    await (await stage.media.connection(1)).socket.close(1008)
    await stage.lab.post(f"/lab/calls/{first}/hangup")
    await stage.state(first, "ended")
    other = await stage.media.connection(2)
    seen = len(other.of_kind("AudioData"))
    await eventually(lambda: len(other.of_kind("AudioData")) > seen + 20)
    assert (await stage.call(second))["state"] == "connected"
    counters = (await stage.call(second))["counters"]
    assert isinstance(counters, dict)
    assert (counters["media_connects"], counters.get("frames_lost", 0)) == (1, 0)


async def test_stopping_in_the_middle_of_calls_ends_everything() -> None:
    """The simulator stops while one call is ringing, one is connecting and one is connected. A task that still runs
    afterwards fails the test.
    """
    async with acs_stage(media_open_delay_s=0.3) as stage:
        await stage.connected(steps=[{"say": "This takes a while to say, longer than the simulator lives."}])
        await stage.place()
        await stage.client().answer_call(stage.context(), stage.callback_url, media_streaming=stage.streaming())
        await stage.place()
        assert (await stage.lab.get("/healthz")).json()["active_calls"] == 3


async def test_a_caller_may_be_an_acs_user(stage: Stage) -> None:
    await stage.place(**{"from": "8:acs:res_user"})
    body = stage.reception.incoming[0].events[0]["data"]
    assert isinstance(body, dict)
    assert body["from"] == {
        "kind": "communicationUser",
        "rawId": "8:acs:res_user",
        "communicationUser": {"id": "8:acs:res_user"},
    }
