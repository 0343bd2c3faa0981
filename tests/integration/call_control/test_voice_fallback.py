"""A running call that has lost its voice session: transferred to human agents, or ended with an apology."""

from __future__ import annotations

from pathlib import Path

from bridge_common.redis.clients import RedisClients
from bridge_common.store.fleet import Fleet
from bridge_common.wire.call_record import Status
from bridge_common.wire.entries import HangUp, MediaOpen, VoiceLost
from tests.support.eventually import eventually
from tests.support.scripted_acs import ScriptedAcs, Twist
from tests.support.switchboard import PhoneCall, Switchboard, switchboard

AGENTS = "+14255550177"


async def _lose_voice(board: Switchboard, call: PhoneCall) -> str:
    connection_id = await board.connect(call)
    grant = await board.store.attach_media(call.call_id)
    assert grant is not None
    await board.inbox.put(MediaOpen(call.call_id, grant.epoch))
    await board.inbox.put(VoiceLost(call.call_id, 2**62, "budget spent"))
    return connection_id


async def test_human_agents_see_the_called_number(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> None:
    async with switchboard(redis_url, clients, acs, TRANSFER_TARGET=AGENTS) as board:
        call = PhoneCall()
        connection_id = await _lose_voice(board, call)
        await board.reaches(call, Status.TRANSFERRING)
        await eventually(lambda: acs.of("transferToParticipant"))
        [asked] = acs.of("transferToParticipant")
        assert asked.connection_id == connection_id
        assert f"'rawId': '4:{AGENTS}'" in str(asked.body["targetParticipant"])
        assert call.callee[2:] in str(asked.body["sourceCallerIdNumber"])
        assert asked.request_id
        context = asked.body["operationContext"]
        await board.call_back(call, call.callback("CallTransferAccepted", connection_id, operationContext=context))
        await board.call_back(call, call.callback("CallDisconnected", connection_id))
        record = await board.reaches(call, Status.ENDED)
        assert record.end_reason == "transferred"
        assert not acs.of("terminate")


async def test_a_lost_callback_does_not_hide_the_transfer(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs
) -> None:
    """`CallTransferAccepted` does not arrive; the result code of `CallDisconnected` shows the transfer."""
    async with switchboard(redis_url, clients, acs, TRANSFER_TARGET=AGENTS) as board:
        call = PhoneCall()
        connection_id = await _lose_voice(board, call)
        await board.reaches(call, Status.TRANSFERRING)
        await eventually(lambda: acs.of("transferToParticipant"))
        result = {"code": 200, "subCode": 7015, "message": ""}
        await board.call_back(call, call.callback("CallDisconnected", connection_id, resultInformation=result))
        record = await board.reaches(call, Status.ENDED)
        assert record.end_reason == "transferred"


async def test_the_human_agents_of_the_policy_come_first(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs, tmp_path: Path
) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text('human_agents: {phone: "+14255550188"}\nrules: [{name: all, agent: default}]\n')
    async with switchboard(redis_url, clients, acs, TRANSFER_TARGET=AGENTS, ROUTING_POLICY=str(file)) as board:
        await _lose_voice(board, PhoneCall())
        await eventually(lambda: acs.of("transferToParticipant"))
        assert "4:+14255550188" in str(acs.of("transferToParticipant")[0].body["targetParticipant"])


async def test_without_human_agents_the_gateway_apologizes(
    redis_url: str, clients: RedisClients, acs: ScriptedAcs
) -> None:
    async with switchboard(redis_url, clients, acs, TRANSFER_TARGET=AGENTS) as board:
        call = PhoneCall()
        acs.script("transferToParticipant", Twist(400, "8523", "no such number"))
        await _lose_voice(board, call)
        record = await board.reaches(call, Status.ENDING)
        assert record.end_reason == "not_transferred"
        await eventually(lambda: board.released(call))
        ended = await board.store.how_it_ended(call.call_id)
        assert ended is not None
        assert ended.apologize
        assert not acs.of("terminate"), "not before the apology was played"
        await board.inbox.put(HangUp(call.call_id, "media-gateway", "apology"))
        await eventually(lambda: len(acs.of("terminate")) == 1)


async def test_a_full_fleet_diverts_at_once(redis_url: str, clients: RedisClients, acs: ScriptedAcs) -> None:
    fleet = Fleet(clients.control, "relay-1", "agent-relay")
    async with switchboard(redis_url, clients, acs, ANSWER_DEADLINE_S="20") as board:
        call = PhoneCall()

        async def rejected() -> bool:
            await fleet.beat(capacity=4, active=4)
            return bool(acs.of("reject"))

        await board.ring(call)
        await eventually(rejected, within_s=5)
        record = await board.reaches(call, Status.ENDED)
        assert record.end_reason == "no_capacity"
        assert not acs.of("answer")
