"""Calls from ring to end through the real service: requests to Azure, and released resources."""

from __future__ import annotations

import asyncio
import random

import httpx
import pytest

from bridge_common.redis.clients import RedisClients
from bridge_common.wire import media_token
from bridge_common.wire.call_record import Status
from bridge_common.wire.entries import GoodbyeOver, MediaLost, MediaOpen, VoiceLost
from tests.support.eventually import eventually
from tests.support.recorded_spans import Growth
from tests.support.scripted_acs import STALE_CONTEXT, ScriptedAcs, Twist
from tests.support.switchboard import (
    OPERATOR,
    PhoneCall,
    Switchboard,
    environment,
    replica,
    settings_of,
    switchboard,
)

TOKEN_KEYS = ("media-token-key-of-the-tests",)


async def test_answered_when_the_voice_is_ready(board: Switchboard) -> None:
    call = PhoneCall()
    assert (await board.ring(call)).status_code == 200
    await board.reaches(call, Status.RINGING)
    assert board.acs.asked == []
    await board.voice_ready(call)
    connection_id = await board.answered(call)
    [asked] = board.acs.of("answer")
    assert asked.body["incomingCallContext"] == call.context
    assert asked.body["callbackUri"] == f"http://control.test/api/callbacks/{call.call_id}"
    media = asked.body["mediaStreamingOptions"]
    assert isinstance(media, dict)
    url = media.pop("transportUrl")
    assert media == {
        "transportType": "websocket",
        "contentType": "audio",
        "audioChannelType": "unmixed",
        "startMediaStreaming": True,
        "enableBidirectional": True,
        "audioFormat": "pcm16KMono",
        "enableDtmfTones": True,
    }
    address, _, token = url.rpartition("/")
    assert address == f"ws://media.test/ws/{call.call_id}"
    media_token.check(TOKEN_KEYS, call.call_id, token, 0)
    await board.call_back(call, call.callback("CallConnected", connection_id))
    await board.reaches(call, Status.CONNECTED)
    hung_up = {"resultInformation": {"code": 200, "subCode": 560000, "message": "The conversation has ended."}}
    await board.call_back(call, call.callback("CallDisconnected", connection_id, **hung_up))
    record = await board.reaches(call, Status.ENDED, within_s=4)
    assert record.end_reason == "caller_hung_up"
    await eventually(lambda: board.released(call), within_s=4, what="everything is released")
    await eventually(board.idle, what="nothing is left in the inbox")
    record = await board.reaches(call, Status.ENDED)
    assert record.pending == ()
    timers = board.keys.timers(board.keys.tag(call.call_id))
    assert await board.redis.zcard(timers) == 0, "no deadline outlives the call"


async def test_answered_at_once(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> None:
    async with switchboard(redis_url, clients, acs, ANSWER_WHEN="at_once", ACS_AUDIO_FORMAT="pcm24k") as board:
        call = PhoneCall()
        await board.ring(call)
        connection_id = await board.answered(call)
        media = acs.of("answer")[0].body["mediaStreamingOptions"]
        assert isinstance(media, dict)
        assert media["audioFormat"] == "pcm24KMono"
        await board.call_back(call, call.callback("CallConnected", connection_id))
        await board.voice_ready(call)

        async def voice_noted() -> bool:
            record = await board.store.load(call.call_id)
            return record is not None and record.voice_ready

        await eventually(voice_noted)


async def test_duplicates_and_disorder_answer_once(board: Switchboard) -> None:
    call = PhoneCall()
    event = call.incoming("one-event")
    again = [board.http.post("/api/incomingCall", json=[event]) for _ in range(10)]
    other_ids = [board.ring(call) for _ in range(10)]
    for reply in await asyncio.gather(*again, *other_ids):
        assert reply.status_code == 200
    await board.voice_ready(call)
    connection_id = await board.answered(call)
    events = [
        call.callback("CallConnected", connection_id, "c"),
        call.callback("ParticipantsUpdated", connection_id, "p", participants=[], sequenceNumber=1),
        call.callback("MediaStreamingStarted", connection_id, "m"),
        call.callback("CallDisconnected", connection_id, "d"),
    ]
    posts = [[event] for event in events for _ in range(10)]
    random.Random(7).shuffle(posts)
    for reply in await asyncio.gather(*(board.call_back(call, *post) for post in posts)):
        assert reply.status_code == 200
    await board.reaches(call, Status.ENDED)
    await eventually(board.idle)
    assert board.acs.done["answer"] == 1
    assert len(board.acs.of("answer")) == 1
    assert await board.released(call)


async def test_a_stale_context_is_asked_for_once(board: Switchboard) -> None:
    call = PhoneCall()
    board.acs.script("answer", Twist(400, "400", STALE_CONTEXT))
    await board.ring(call)
    await board.voice_ready(call)
    record = await board.reaches(call, Status.ENDED)
    assert record.end_reason == "acs_stale_context"
    await eventually(board.idle)
    assert [asked.operation for asked in board.acs.asked] == ["answer"]
    assert await board.released(call)


async def test_the_caller_gave_up_while_it_rang(board: Switchboard) -> None:
    call = PhoneCall()
    board.acs.script("answer", Twist(404, "8522", "Call not found."))
    await board.ring(call)
    await board.voice_ready(call)
    await board.reaches(call, Status.ENDED)
    await eventually(lambda: board.released(call), within_s=4)


async def test_the_caller_gave_up_while_it_was_answered(board: Switchboard) -> None:
    call = PhoneCall()
    await board.ring(call)
    await board.voice_ready(call)
    connection_id = await board.answered(call)
    canceled = {"resultInformation": {"code": 487, "subCode": 540487, "message": "Request terminated"}}
    await board.call_back(call, call.callback("AnswerFailed", connection_id, **canceled))
    record = await board.reaches(call, Status.ENDED)
    assert record.end_reason == "AnswerFailed_487_540487"
    await eventually(lambda: board.released(call), within_s=4)


async def test_no_relay_in_time_rejects_busy(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> None:
    async with switchboard(redis_url, clients, acs, ANSWER_DEADLINE_S="0.3") as board:
        call = PhoneCall()
        await board.ring(call)
        record = await board.reaches(call, Status.ENDED)
        assert record.end_reason == "no_voice"
        [asked] = acs.asked
        assert asked.body == {"incomingCallContext": call.context, "callRejectReason": "busy"}
        await eventually(lambda: board.released(call), within_s=4)


async def test_voice_lost_redirects_to_human_agents(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> None:
    async with switchboard(redis_url, clients, acs, REDIRECT_TARGET="+18005550000") as board:
        call = PhoneCall()
        await board.ring(call)
        claim = await board.claim(call)
        await board.inbox.put(VoiceLost(call.call_id, claim.epoch, "503"))
        await board.reaches(call, Status.ENDED)
        [asked] = acs.asked
        assert asked.operation == "redirect"
        target = asked.body["target"]
        assert isinstance(target, dict)
        assert target["rawId"] == "4:+18005550000"
        assert target["phoneNumber"]["value"] == "+18005550000"


async def test_refused_callers_are_rejected(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> None:
    async with switchboard(redis_url, clients, acs, REFUSED_CALLERS="+14255550100") as board:
        call = PhoneCall()
        await board.ring(call)
        await board.reaches(call, Status.ENDED)
        [asked] = acs.asked
        assert asked.body["callRejectReason"] == "forbidden"
        assert await board.relay.claim(1) == []


async def test_a_call_on_behalf_of_a_callee_is_never_answered(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs
) -> None:
    """A Teams user calls out through our resource: rejected at once, and never redirected."""
    settings = {"ANSWER_WHEN": "at_once", "REDIRECT_TARGET": "+18005550000", "ON_BEHALF_REJECT_REASON": "Forbidden"}
    async with switchboard(redis_url, clients, acs, **settings) as board:
        call = PhoneCall()
        callee = {"kind": "phoneNumber", "rawId": "4:+12065551212", "phoneNumber": {"value": "+12065551212"}}
        await board.http.post("/api/incomingCall", json=[call.incoming("", onBehalfOfCallee=callee)])
        record = await board.reaches(call, Status.ENDED)
        assert (record.end_reason, record.on_behalf_of) == ("on_behalf_of_callee", "4:+12065551212")
        [asked] = acs.asked
        assert asked.body == {"incomingCallContext": call.context, "callRejectReason": "forbidden"}
        assert await board.relay.claim(1) == []


async def test_throttling_and_dropped_replies_are_asked_again_with_the_same_id(board: Switchboard) -> None:
    call = PhoneCall()
    board.acs.script("answer", Twist(429, "8516", "slow down"), Twist(503), Twist())
    await board.ring(call)
    await board.voice_ready(call)
    await board.answered(call)
    asked = board.acs.of("answer")
    assert len(asked) == 3
    assert len({one.request_id for one in asked}) == 1
    assert len({one.headers["repeatability-first-sent"] for one in asked}) == 1
    assert board.acs.done["answer"] == 1


async def test_an_operator_hangs_up(board: Switchboard) -> None:
    call = PhoneCall()
    connection_id = await board.connect(call)
    reply = await board.http.post(f"/api/calls/{call.call_id}/hangup", headers=OPERATOR)
    assert reply.status_code == 202
    await board.reaches(call, Status.ENDING)
    await eventually(lambda: len(board.acs.of("terminate")) == 1)
    assert board.acs.of("terminate")[0].connection_id == connection_id
    await eventually(lambda: board.released(call), within_s=4)
    await board.call_back(call, call.callback("CallDisconnected", connection_id))
    record = await board.reaches(call, Status.ENDED)
    assert record.end_reason == "hung_up_by_operator"
    again = await board.http.post(f"/api/calls/{call.call_id}/hangup", headers=OPERATOR)
    assert again.status_code == 409


async def test_a_hang_up_that_acs_refuses_is_repeated(board: Switchboard) -> None:
    call = PhoneCall()
    connection_id = await board.connect(call)
    board.acs.script("terminate", Twist(400, "8501", "call not established"), Twist(400, "8501"), Twist(), Twist())
    act = {"action": "hang_up"}
    reply = await board.http.post(f"/api/calls/{call.call_id}/actions", json=act, headers=OPERATOR)
    await board.reaches(call, Status.CONNECTED)
    await board.inbox.put(GoodbyeOver(call.call_id, reply.json()["action_id"], "heard"))
    await eventually(lambda: len(board.acs.of("terminate")) >= 2, what="asked again")
    record = await board.store.load(call.call_id)
    assert record is not None
    assert (record.status, record.actions[0].state) == (Status.ENDING, "running")
    record = await board.reaches(call, Status.ENDED, within_s=15)
    assert (record.actions[0].state, record.actions[0].reason) == ("done", "heard")
    asked = board.acs.of("terminate")
    assert [one.connection_id for one in asked] == [connection_id] * 4, "the last one is answered with 404"
    assert len({one.request_id for one in asked}) == 4


async def test_a_lost_media_socket_is_asked_for_again(board: Switchboard) -> None:
    call = PhoneCall()
    await board.connect(call)
    grant = await board.store.attach_media(call.call_id)
    assert grant is not None
    await board.inbox.put(MediaOpen(call.call_id, grant.epoch))
    await board.inbox.put(MediaLost(call.call_id, grant.epoch, 1006))
    await eventually(lambda: board.acs.done["startMediaStreaming"] == 1)
    assert str(board.acs.of("startMediaStreaming")[0].body["operationContext"]).startswith("StartMediaStreaming-")


async def test_a_slow_acs_holds_up_one_call_only(board: Switchboard) -> None:
    slow, quick = PhoneCall(), PhoneCall()
    board.acs.script("answer", Twist(delay_s=3))
    await board.ring(slow)
    await board.voice_ready(slow)
    await eventually(lambda: len(board.acs.of("answer")) == 1)
    await board.ring(quick)
    await board.voice_ready(quick)
    async with asyncio.timeout(2):
        await board.answered(quick)
    record = await board.store.load(slow.call_id)
    assert record is not None
    assert record.connection_id == ""
    # The entries of the slow call are not blocked either: an operator can end it.
    await board.http.post(f"/api/calls/{slow.call_id}/hangup", headers=OPERATOR)
    await board.reaches(slow, Status.ENDING, within_s=1)
    await eventually(lambda: board.acs.done["terminate"] == 1, what="hung up as soon as the connection is known")


async def test_two_replicas_share_the_work(
    board: Switchboard, redis_url: str, clients: RedisClients, acs: ScriptedAcs
) -> None:
    settings = settings_of(environment(redis_url, acs))
    async with replica(settings) as address, httpx.AsyncClient(base_url=address, trust_env=False) as http:
        other = Switchboard(acs, clients, http)
        calls = [PhoneCall() for _ in range(20)]
        for index, call in enumerate(calls):
            await (board if index % 2 else other).ring(call)
        for call in calls:
            await board.reaches(call, Status.RINGING)
        claims = await board.relay.claim(50)
        assert {claim.call_id for claim in claims} == {call.call_id for call in calls}
        for call in calls:
            record = await board.store.load(call.call_id)
            assert record is not None
            await board.inbox.put(VoiceLost(call.call_id, 1, "test"))
            await other.inbox.put(VoiceLost(call.call_id, 1, "test"))
        for call in calls:
            await board.reaches(call, Status.ENDED)
        await eventually(board.idle)
    assert acs.done["reject"] == 20
    assert len(acs.of("reject")) == 20


async def test_calls_above_the_limit_hear_busy_before_a_voice_session_is_opened(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs, caplog: pytest.LogCaptureFixture
) -> None:
    """Limits apply to two replicas together, and do not affect other callers."""
    limits = {"CALLS_PER_CALLER_PER_MIN": "2"}
    async with (
        switchboard(redis_url, clients, acs, **limits) as board,
        replica(settings_of(environment(redis_url, acs, **limits))),
    ):
        grown = Growth()
        flood = [PhoneCall() for _ in range(8)]
        for call in flood:
            await board.ring(call)
        other = PhoneCall(caller="4:+14255550199")
        await board.ring(other)
        await board.voice_ready(other)
        await board.answered(other)
        await eventually(board.idle)
        ended = [record for record in await board.store.list_calls() if record.end_reason == "over_limit"]
        assert len(ended) == 6
        assert {record.route for record in ended} == {"CALLS_PER_CALLER_PER_MIN"}
        assert grown('bridge_calls_over_limit_total{limit="caller"}') == 6
        assert {str(asked.body["callRejectReason"]) for asked in acs.of("reject")} == {"busy"}
        ringing = [record for record in await board.store.list_calls() if record.status is Status.RINGING]
        assert len(ringing) == 2, "these two still wait for a voice session"
    lines = [
        record
        for record in caplog.records
        if record.getMessage() == "limit on incoming calls exceeded; redirecting or rejecting calls"
    ]
    assert len(lines) == 1
    assert "4255550100" not in str(lines[0].__dict__["bridge_fields"])


async def test_a_call_above_the_limit_can_be_redirected(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs
) -> None:
    settings = {"CALLS_PER_MIN": "2", "CALLS_OVER_LIMIT": "Redirect", "REDIRECT_TARGET": "+18005550000"}
    async with switchboard(redis_url, clients, acs, **settings) as board:
        hidden = [PhoneCall(caller="4:anonymous"), PhoneCall(caller="4:anonymous")]
        for call in hidden:
            await board.ring(call)
        await board.reaches(hidden[1], Status.ENDED)
        [asked] = acs.asked
        assert asked.operation == "redirect"


async def test_an_old_event_is_not_answered(board: Switchboard) -> None:
    old, call = PhoneCall(), PhoneCall()
    event = old.incoming() | {"eventTime": "2020-01-01T00:00:00Z"}
    assert (await board.http.post("/api/incomingCall", json=[event])).json() == {"received": 1}
    await board.ring(call)
    await board.reaches(call, Status.RINGING)
    await eventually(board.idle)
    statuses = {record.call_id: (record.status, record.end_reason) for record in await board.store.list_calls()}
    assert statuses.pop(call.call_id) == (Status.RINGING, "")
    assert list(statuses.values()) == [(Status.ENDED, "ring_expired")]
