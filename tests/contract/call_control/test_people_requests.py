"""call-control's requests for people in a call, with the unmodified SDK, as the simulated ACS accepts them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from call_control.acs_client import AcsClient, AcsError, MediaFormat
from call_control.core.connection_string import AcsAddress
from call_control.core.machine.call_events import RosterEntry
from call_control.core.transfer_context import TransferContext
from lab.acs.settings import LAB_ACCESS_KEY
from tests.contract.support.acs_stage import Stage, acs_stage, data

CALLER, NUMBER = "4:+14255550100", "4:+18005551212"
BOB = "4:+14255550177"
ACCOUNT = "28:orgid:cc123456-5678-9012-3456-789012345678"
CONTEXT = TransferContext(
    *("Refund", "Wants 50 % of the order back.", "call_1"),
    caller=CALLER,
    caller_name="Ada Lovelace",
    sip_headers={"User-To-User": "56a6ec6e;encoding=hex"},
    voip_headers={"X-Tier": "gold"},
)
SIP = {
    "X-MS-Custom-Topic": "Refund",
    "X-MS-Custom-Call": "call_1",
    "X-MS-Custom-Summary": "Wants 50 %25 of the order back.",
    "X-MS-Custom-X-Tier": "gold",
    "User-To-User": "56a6ec6e;encoding=hex",
}
VOIP = {
    "Topic": "Refund",
    "Summary": CONTEXT.summary,
    "Call": "call_1",
    "X-Tier": "gold",
    "User-To-User": "56a6ec6e;encoding=hex",
}
TEAMS = ["8:orgid:ada", "28:orgid:queue", "8:acs:resource_tenant_user", "8:gcch:ada", "28:dod:queue"]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with acs_stage() as stage:
        await stage.lab.put("/lab/callee", json={"after_s": 0.0})
        await stage.people(p177={"after_s": 0.0})
        yield stage


@asynccontextmanager
async def client_of(stage: Stage) -> AsyncIterator[AcsClient]:
    client = AcsClient(AcsAddress(stage.url, LAB_ACCESS_KEY), MediaFormat("pcm16k", "unmixed"), deadline_s=5)
    yield client
    await client.aclose()


async def connected(stage: Stage, client: AcsClient, to: str = NUMBER) -> tuple[str, str]:
    """Return the ids of a connected call: of the simulator, and of its connection."""
    call_id = await stage.place(to=to if ":" in to and not to.startswith("4:") else to.removeprefix("4:"))
    connection = await client.answer(
        stage.context(),
        callback_url=stage.callback_url,
        media_url=stage.media.url + "/ws/call/token",
        operation_context="Answer-1",
        request_id=new_id(),
    )
    await stage.noted(call_id, "call_connected")
    return call_id, connection.connection_id


def new_id() -> str:
    return str(uuid.uuid4())


async def add(client: AcsClient, connection_id: str, target: str, callee: str = NUMBER, request_id: str = "") -> str:
    return await client.add_participant(
        connection_id,
        target,
        callee=callee,
        ring_s=20,
        context=CONTEXT,
        operation_context="AddParticipant-2",
        request_id=request_id or new_id(),
    )


async def test_a_phone_is_invited_with_our_number_and_sip_headers(stage: Stage) -> None:
    async with client_of(stage) as client:
        call_id, connection_id = await connected(stage, client)
        invitation_id = await add(client, connection_id, BOB, request_id="0e1f0e3c-0000-4000-8000-000000000001")
        again = await add(client, connection_id, BOB, request_id="0e1f0e3c-0000-4000-8000-000000000001")
        assert invitation_id == again != ""
        joined = data(await stage.reception.event("AddParticipantSucceeded"))
        assert (joined["invitationId"], joined["operationContext"]) == (invitation_id, "AddParticipant-2")
        [invited] = await stage.invitations(call_id)
        assert (invited["target"], invited["caller_id"], invited["timeout_s"]) == (BOB, NUMBER.removeprefix("4:"), 20)
        assert invited["sent"] == invited["delivered"] == {"sipHeaders": SIP}
        people = {one.raw_id: one for one in await client.participants(connection_id)}
        assert people[BOB] == RosterEntry(BOB, on_hold=False, muted=False)
        assert len(people) == 3, "the caller, Bob and the application"


async def test_users_of_acs_get_voip_headers(stage: Stage) -> None:
    async with client_of(stage) as client:
        call_id, connection_id = await connected(stage, client)
        await add(client, connection_id, "8:acs:resource_user")
        await stage.reception.event("AddParticipantSucceeded")
        [invited] = await stage.invitations(call_id)
        assert (invited["caller_id"], invited["delivered"]) == (None, {"voipHeaders": VOIP})


@pytest.mark.parametrize("target", TEAMS)
async def test_teams_gets_voip_headers_and_the_details(stage: Stage, target: str) -> None:
    async with client_of(stage) as client:
        call_id, connection_id = await connected(stage, client, ACCOUNT)
        await add(client, connection_id, target, ACCOUNT)
        await client.transfer(
            *(connection_id, target),
            callee=ACCOUNT,
            transferee=CALLER,
            context=replace(CONTEXT, caller=""),
            operation_context="Transfer-3",
            request_id=new_id(),
        )
        added, transferred = await stage.invitations(call_id)
        assert added["sent"]["voipHeaders"] == transferred["sent"]["voipHeaders"] == VOIP
        details = added["sent"]["teamsPhoneCallDetails"]
        assert (details["callTopic"], details["callContext"]) == ("Refund", CONTEXT.summary)
        assert details["sessionId"] == "call_1"
        caller = details["teamsPhoneCallerDetails"]
        assert (caller["name"], caller["phoneNumber"]) == ("Ada Lovelace", "+14255550100")
        assert caller["caller"]["rawId"] == CALLER
        assert "teamsPhoneCallerDetails" not in transferred["sent"]["teamsPhoneCallDetails"]


async def test_a_call_to_a_resource_account_never_has_a_caller_id(stage: Stage) -> None:
    async with client_of(stage) as client:
        call_id, connection_id = await connected(stage, client, ACCOUNT)
        await add(client, connection_id, BOB, ACCOUNT)
        await stage.reception.event("AddParticipantSucceeded")
        await client.transfer(
            *(connection_id, "4:+14255550178"),
            callee=ACCOUNT,
            transferee=CALLER,
            context=CONTEXT,
            operation_context="Transfer-3",
            request_id=new_id(),
        )
        await stage.reception.event("CallTransferAccepted")
        assert [invited["caller_id"] for invited in await stage.invitations(call_id)] == [None, None]
        with pytest.raises(AcsError) as refused:
            await client.hold(connection_id, BOB, operation_context="Hold-4")
        assert not refused.value.gone


async def test_a_blind_transfer_shows_our_number(stage: Stage) -> None:
    async with client_of(stage) as client:
        call_id, connection_id = await connected(stage, client)
        await client.transfer(
            *(connection_id, BOB),
            callee=NUMBER,
            context=CONTEXT,
            operation_context="Transfer-2",
            request_id=new_id(),
        )
        assert data(await stage.reception.event("CallTransferAccepted"))["operationContext"] == "Transfer-2"
        [invited] = await stage.invitations(call_id)
        assert (invited["caller_id"], invited["sent"]) == (NUMBER.removeprefix("4:"), {"sipHeaders": SIP})


async def test_an_invitation_is_canceled(stage: Stage) -> None:
    await stage.people(p177={"after_s": 30.0})
    async with client_of(stage) as client:
        call_id, connection_id = await connected(stage, client)
        invitation_id = await add(client, connection_id, BOB)
        await client.cancel_add(connection_id, invitation_id, operation_context="CancelAdd-3", request_id=new_id())
        canceled = data(await stage.reception.event("CancelAddParticipantSucceeded"))
        assert canceled["operationContext"] == "CancelAdd-3"
        assert [invited["outcome"] for invited in await stage.invitations(call_id)] == ["canceled"]


async def test_hold_mute_keys_and_removal(stage: Stage) -> None:
    async with client_of(stage) as client:
        call_id, connection_id = await connected(stage, client)
        await add(client, connection_id, BOB)
        await stage.reception.event("AddParticipantSucceeded")
        await client.start_dtmf(connection_id, BOB, operation_context="StartDtmf-3")
        await stage.lab.post(f"/lab/calls/{call_id}/parties/{BOB}/dtmf", json={"tones": "1"})
        tone = data(await stage.reception.event("ContinuousDtmfRecognitionToneReceived"))
        assert (tone["tone"], tone["operationContext"]) == ("one", "StartDtmf-3")
        await client.hold(connection_id, CALLER, operation_context="Hold-4")
        await client.mute(connection_id, BOB, operation_context="Mute-5", request_id=new_id())
        people = {one.raw_id: one for one in await client.participants(connection_id)}
        assert (people[CALLER].on_hold, people[CALLER].muted) == (True, False)
        assert (people[BOB].on_hold, people[BOB].muted) == (False, True)
        await client.unhold(connection_id, CALLER, operation_context="Unhold-6")
        await client.remove_participant(connection_id, BOB, operation_context="Remove-7", request_id=new_id())
        removed = data(await stage.reception.event("RemoveParticipantSucceeded"))
        assert removed["operationContext"] == "Remove-7"
        people = {one.raw_id: one for one in await client.participants(connection_id)}
        assert BOB not in people
        assert not people[CALLER].on_hold


async def test_we_leave_and_the_others_stay(stage: Stage) -> None:
    async with client_of(stage) as client:
        call_id, connection_id = await connected(stage, client)
        await add(client, connection_id, BOB)
        await stage.reception.event("AddParticipantSucceeded")
        await client.leave(connection_id)
        await stage.reception.event("CallDisconnected")
        with pytest.raises(AcsError) as gone:
            await client.participants(connection_id)
        assert gone.value.gone
        assert (await stage.call(call_id))["end_reason"] != "caller_hung_up"
