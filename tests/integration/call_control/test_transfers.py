"""Transfers with real Redis and the SDK of ACS: the requests on the wire, the relay's instructions, and crashes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from bridge_common.redis.clients import RedisClients, command
from bridge_common.wire.call_record import CallRecord, Participant, Status, TransferStage
from bridge_common.wire.entries import (
    Act,
    Callback,
    GoodbyeOver,
    IncomingCall,
    Instruct,
    MediaOpen,
    ScreeningOver,
    VoiceReady,
)
from bridge_common.wire.entry_codec import FIELD, decode
from bridge_common.wire.keys import Keys
from call_control.acs_client import AcsClient, MediaFormat
from call_control.core.connection_string import parse_connection_string
from call_control.core.machine.transition import CallPolicy
from call_control.core.policy.routing import Connected, Routed, Routing
from call_control.core.policy.transfer_targets import TransferTarget
from call_control.inbox_worker import CommandRunner
from tests.integration.support.dying_effects import DyingEffects
from tests.integration.support.inbox_replica import Replica, arrival
from tests.support.eventually import eventually
from tests.support.recorded_spans import Growth
from tests.support.scripted_acs import ScriptedAcs, Twist
from tests.support.switchboard import PhoneCall

BILLING = "4:+14255550177"
NAMED = {
    "billing": TransferTarget("billing", BILLING, ring_s=20),
    "sales": TransferTarget("sales", "8:orgid:0b0c0d0e-0000-4000-8000-000000000001", mode="blind"),
}
POLICY = CallPolicy(goodbye_ms=60_000, roster_ms=300)


class TargetedRouting(Routing):
    @property
    def targets(self) -> Mapping[str, TransferTarget]:
        return NAMED


class ConnectingRouting(TargetedRouting):
    """Connects every call without an agent."""

    def options(self, call: IncomingCall, after: str = "") -> list[Routed]:
        return [Routed(Connected(BILLING), "on_behalf", "on behalf of a callee")]


@dataclass(slots=True)
class Stage:
    """One call at a replica; the test acts as ACS, relay and operator."""

    call: PhoneCall
    replica: Replica
    acs: ScriptedAcs
    clients: RedisClients

    async def record(self) -> CallRecord:
        record = await self.replica.store.load(self.call.call_id)
        assert record is not None
        return record

    async def reported(self, type_: str, **data: object) -> None:
        event = self.call.callback(type_, self.acs.connections[self.call.context], **data)
        entry = Callback(self.call.call_id, str(event["id"]), type_, json.dumps(event["data"]))
        await self.replica.inbox.put(entry)

    async def at(self, stage: TransferStage, status: Status = Status.CONNECTED) -> CallRecord:
        async def reached() -> bool:
            record = await self.record()
            return (record.transfer_stage, record.status) == (stage, status)

        await eventually(reached)
        await eventually(self.replica.idle)
        return await self.record()

    async def act(self, action: str, action_id: str = "act_1", by: str = "operator", **arguments: str) -> None:
        await self.replica.inbox.put(Act(self.call.call_id, action_id, action, json.dumps(arguments), by))

    async def words(self, outcome: str = "heard") -> None:
        await self.replica.inbox.put(GoodbyeOver(self.call.call_id, "act_1", outcome))

    async def instructions(self) -> list[tuple[str, dict[str, object]]]:
        key = Keys(1).say(self.call.call_id)
        stored: list[tuple[bytes, dict[bytes, bytes]]] = await command(self.clients.control, "XRANGE", key, "-", "+")
        entries = [decode(content[FIELD]) for _, content in stored]
        return [(one.what, json.loads(one.detail)) for one in entries if isinstance(one, Instruct)]


@pytest.fixture
async def client(acs: ScriptedAcs) -> AsyncIterator[AcsClient]:
    client = AcsClient(parse_connection_string(acs.connection_string), MediaFormat("pcm16k", "unmixed"))
    yield client
    await client.aclose()


def staged(clients: RedisClients, acs: ScriptedAcs, client: AcsClient, routing: Routing | None = None) -> Stage:
    replica = Replica("first", clients, client, POLICY, routing or TargetedRouting())
    return Stage(PhoneCall(), replica, acs, clients)


@asynccontextmanager
async def connected(stage: Stage, effects: CommandRunner | None = None) -> AsyncIterator[None]:
    """The caller talks with the agent."""
    call, replica = stage.call, stage.replica
    async with replica.working(effects):
        await replica.inbox.put_once(arrival(call), "e")
        await eventually(lambda: replica.leases.claim(5))
        await replica.inbox.put(VoiceReady(call.call_id, 2**62))
        await eventually(lambda: stage.acs.connections)
        await eventually(replica.idle)
        await stage.reported("CallConnected")
        grant = await replica.store.attach_media(call.call_id)
        assert grant is not None
        await replica.inbox.put(MediaOpen(call.call_id, grant.epoch))
        yield


def listed(*raw_ids: str) -> list[dict[str, object]]:
    return [{"identifier": {"rawId": one}, "isMuted": False, "isOnHold": False} for one in raw_ids]


async def test_an_attended_transfer_and_the_return(clients: RedisClients, acs: ScriptedAcs, client: AcsClient) -> None:
    stage, grown = staged(clients, acs, client), Growth()
    async with connected(stage):
        await stage.act("transfer", target="billing", topic="refund", summary="wants a refund")
        await stage.at(TransferStage.CONNECTING)
        await stage.words()
        record = await stage.at(TransferStage.DIALING)
        assert [one.invitation_id for one in record.participants] == ["invitation-1"]
        [asked] = acs.of("add")
        assert BILLING in str(asked.body["participantToAdd"])
        assert asked.body["invitationTimeoutInSeconds"] == 20
        assert stage.call.callee[2:] in str(asked.body["sourceCallerIdNumber"])
        assert "refund" in str(asked.body["customCallingContext"])
        acs.participants = listed("8:acs:us", stage.call.caller, BILLING)
        await stage.reported("AddParticipantSucceeded", operationContext=asked.body["operationContext"])
        await stage.at(TransferStage.SCREENING)
        assert acs.done["startContinuousDtmfRecognition"] == 1
        await stage.replica.inbox.put(ScreeningOver(stage.call.call_id, "act_1", "confirmed"))
        record = await stage.at(TransferStage.BRIDGED)
        assert [(one.state, one.reason) for one in record.actions] == [("done", "connected")]
        assert grown('bridge_transfers_total{mode="attended",outcome="connected"}') == 1
        acs.participants = listed("8:acs:us", stage.call.caller)
        record = await stage.at(TransferStage.NONE)
        assert [one.state for one in record.participants] == ["left"]
        told = await stage.instructions()
        assert [what for what, _ in told] == ["connecting", "waiting", "screening", "bridged", "returned"]
    assert told[-1][1] == {"name": "billing", "reason": "not_confirmed", "joined": False}, "they left at once"


async def test_a_transfer_whose_target_is_busy(clients: RedisClients, acs: ScriptedAcs, client: AcsClient) -> None:
    stage, grown = staged(clients, acs, client), Growth()
    async with connected(stage):
        await stage.act("transfer", target="billing", by="agent")
        await stage.words()
        await stage.at(TransferStage.DIALING)
        context = acs.of("add")[0].body["operationContext"]
        busy = {"code": 486, "subCode": 560486, "message": "busy"}
        await stage.reported("AddParticipantFailed", operationContext=context, resultInformation=busy)
        record = await stage.at(TransferStage.NONE)
        assert [(one.state, one.reason) for one in record.actions] == [("failed", "busy")]
        assert grown('bridge_transfers_total{mode="attended",outcome="busy"}') == 1


async def test_a_blind_transfer(clients: RedisClients, acs: ScriptedAcs, client: AcsClient) -> None:
    stage = staged(clients, acs, client)
    async with connected(stage):
        await stage.act("transfer", target="sales")
        await stage.words()
        await stage.at(TransferStage.TRANSFERRING)
        [asked] = acs.of("transferToParticipant")
        assert "microsoftTeamsUser" in str(asked.body["targetParticipant"])
        await stage.reported("CallTransferAccepted", operationContext=asked.body["operationContext"])
        result = {"code": 200, "subCode": 7015, "message": ""}
        await stage.reported("CallDisconnected", resultInformation=result)
        record = await stage.at(TransferStage.NONE, Status.ENDED)
        assert [(one.state, one.reason) for one in record.actions] == [("done", "connected")]
        assert record.end_reason == "transferred"
        assert not acs.of("terminate")


async def test_an_unexpected_response_counts_as_accepted(
    clients: RedisClients, acs: ScriptedAcs, client: AcsClient
) -> None:
    """ACS has acted, and the SDK raises an error for the status."""
    stage = staged(clients, acs, client)
    async with connected(stage):
        acs.script("transferToParticipant", Twist(status=200))
        await stage.act("transfer", target="sales")
        await stage.words()
        record = await stage.at(TransferStage.TRANSFERRING)
        assert [one.state for one in record.actions] == ["running"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("target", "operation"), [("billing", "add"), ("sales", "transferToParticipant")])
async def test_a_replica_dies_at_the_request(
    clients: RedisClients, acs: ScriptedAcs, client: AcsClient, target: str, operation: str, after: bool
) -> None:
    """Another replica completes the work: the person is called once."""
    stage = staged(clients, acs, client)
    # Offer, Answer, `connecting` and `waiting` are executed before.
    dying = DyingEffects(stage.replica.effects, 4, after=after)
    second = Replica("second", clients, client, POLICY, TargetedRouting())
    async with connected(stage, dying):
        await stage.act("transfer", target=target)
        await stage.at(TransferStage.CONNECTING)
        await stage.words()
        await asyncio.wait_for(dying.died.wait(), 5)
    await stage.replica.fleet.leave()
    async with second.working():
        await eventually(lambda: acs.done[operation] == 1 and second.idle())
        await eventually(second.idle)
    assert acs.done[operation] == 1
    assert len({asked.request_id for asked in acs.of(operation)}) == 1
    record = await stage.record()
    assert not [item for item in record.pending if item.kind != "SetTimer"]


async def test_the_caller_hangs_up_while_the_person_rings(
    clients: RedisClients, acs: ScriptedAcs, client: AcsClient
) -> None:
    """Only the list of participants shows it: the invitation is canceled, and the call is hung up."""
    stage = staged(clients, acs, client)
    async with connected(stage):
        await stage.act("transfer", target="billing")
        await stage.words()
        await stage.at(TransferStage.DIALING)
        acs.participants = listed("8:acs:us")
        await stage.reported("ParticipantsUpdated", sequenceNumber=7)
        await eventually(lambda: acs.done["terminate"])
        record = await stage.record()
        assert (record.status, record.end_reason) == (Status.ENDING, "caller_hung_up")
        [canceled] = acs.of("cancelAddParticipant")
        assert canceled.body["invitationId"] == "invitation-1"
        operations = [asked.operation for asked in acs.asked]
        assert operations.index("cancelAddParticipant") < operations.index("terminate")


async def test_nobody_stays_on_the_line_after_the_loss_of_an_invitation(
    clients: RedisClients, acs: ScriptedAcs, client: AcsClient
) -> None:
    """The record does not have the person: a roster shows the join, another one that the caller has hung up."""
    stage = staged(clients, acs, client)
    async with connected(stage):
        await stage.reported("ParticipantsUpdated", participants=listed(stage.call.caller))
        both = listed("8:acs:us", stage.call.caller, BILLING)
        acs.participants = both
        await stage.reported("ParticipantsUpdated", participants=both[1:])

        async def joined() -> bool:
            return [(one.name, one.state) for one in (await stage.record()).participants] == [("billing", "joined")]

        await eventually(joined)
        acs.participants = listed("8:acs:us", BILLING)
        await stage.reported("ParticipantsUpdated", participants=listed(BILLING))
        await eventually(lambda: acs.done["terminate"])
        assert (await stage.record()).end_reason == "caller_hung_up"
        assert ("people", {"names": ["billing"], "caller_on_hold": False}) in await stage.instructions()


async def test_hold_and_mute_on_the_wire(clients: RedisClients, acs: ScriptedAcs, client: AcsClient) -> None:
    stage = staged(clients, acs, client)
    async with connected(stage):
        acs.participants = listed("8:acs:us")
        acs.participants.append({"identifier": {"rawId": stage.call.caller}, "isMuted": False, "isOnHold": True})
        await stage.act("hold")

        async def held() -> bool:
            return [one.state for one in (await stage.record()).actions] == ["done"]

        await eventually(held)
        assert (await stage.record()).caller_on_hold
        assert await stage.instructions() == [("people", {"names": [], "caller_on_hold": True})]
        assert stage.call.caller in str(acs.of("hold")[0].body["targetParticipant"])
        await stage.act("add_participant", "act_2", target="unheard-of")

        async def refused() -> bool:
            return [one.state for one in (await stage.record()).actions] == ["done", "failed"]

        await eventually(refused)
        assert "unknown target" in (await stage.record()).actions[1].reason


async def test_a_call_is_connected_without_an_agent(clients: RedisClients, acs: ScriptedAcs, client: AcsClient) -> None:
    stage = staged(clients, acs, client, ConnectingRouting())
    call, replica = stage.call, stage.replica
    async with replica.working():
        await replica.inbox.put_once(arrival(call), "e")
        await eventually(lambda: acs.connections)
        await eventually(replica.idle)
        assert await replica.leases.claim(5) == [], "no relay gets the call"
        await stage.reported("CallConnected")
        await stage.at(TransferStage.DIALING)
        acs.participants = listed("8:acs:us", call.caller, BILLING)
        await stage.reported("AddParticipantSucceeded", operationContext=acs.of("add")[0].body["operationContext"])
        record = await stage.at(TransferStage.BRIDGED)
        assert acs.done["stopMediaStreaming"] == 1
        person = record.participants[0]
        assert person == Participant(BILLING, "", "joined", "connect", "invitation-1", person.at_ms)
        acs.participants = listed("8:acs:us", BILLING)
        await eventually(lambda: acs.done["terminate"])
        assert (await stage.record()).end_reason == "caller_hung_up"
