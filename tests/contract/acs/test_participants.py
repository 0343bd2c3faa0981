"""The unmodified Python SDK lists, adds, removes, mutes and transfers participants."""

from __future__ import annotations

import pytest
from azure.communication.callautomation import CommunicationUserIdentifier, PhoneNumberIdentifier
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from tests.contract.support.acs_stage import Stage, data
from tests.support.eventually import eventually

CALLER = PhoneNumberIdentifier("+14255550100")
COLLEAGUE = PhoneNumberIdentifier("+14255550177")


async def test_a_transfer_ends_the_apps_leg(stage: Stage) -> None:
    call_id, connection = await stage.connected()
    result = await connection.transfer_call_to_participant(COLLEAGUE, operation_context="tx")
    assert result.operation_context == "tx"
    accepted = data(await stage.reception.event("CallTransferAccepted"))
    assert accepted["transferTarget"] == {
        "kind": "phoneNumber",
        "rawId": "4:+14255550177",
        "phoneNumber": {"value": "+14255550177"},
    }
    assert accepted["operationContext"] == "tx"
    info = data(await stage.reception.event("CallDisconnected"))["resultInformation"]
    assert isinstance(info, dict)
    assert info["code"] == 200
    assert stage.reception.order()[-3:] == ["CallTransferAccepted", "MediaStreamingStopped", "CallDisconnected"]
    assert (await stage.call(call_id))["end_reason"] == "transferred"


async def test_a_transfer_that_fails_keeps_the_call(stage: Stage) -> None:
    await stage.lab.put("/lab/callee", json={"outcome": "no_answer", "after_s": 0.0})
    call_id, connection = await stage.connected()
    await connection.transfer_call_to_participant(COLLEAGUE)
    failed = data(await stage.reception.event("CallTransferFailed"))
    assert isinstance(failed["resultInformation"], dict)
    assert failed["resultInformation"]["subCode"] == 10004
    assert (await stage.call(call_id))["state"] == "connected"
    assert (await connection.get_call_properties()).call_connection_state == "connected"


async def test_participants_are_added_listed_muted_and_removed(stage: Stage) -> None:
    await stage.lab.put("/lab/callee", json={"after_s": 0.0})
    call_id, connection = await stage.connected()
    added = await connection.add_participant(COLLEAGUE, operation_context="ap", source_caller_id_number=CALLER)
    assert added.invitation_id
    succeeded = data(await stage.reception.event("AddParticipantSucceeded"))
    assert succeeded["invitationId"] == added.invitation_id
    await eventually(lambda: len(stage.reception.events("ParticipantsUpdated")) == 2)
    updates = [data(event) for event in stage.reception.events("ParticipantsUpdated")]
    assert [update["sequenceNumber"] for update in updates] == [1, 2]
    ids = [one.identifier.raw_id async for one in connection.list_participants() if one.identifier is not None]
    assert ids[0] == "4:+14255550100"
    assert ids[-1] == "4:+14255550177"
    with pytest.raises(HttpResponseError) as refused:
        await connection.add_participant(COLLEAGUE)
    assert refused.value.error is not None
    assert refused.value.error.code == "8523"
    await connection.mute_participant(COLLEAGUE)
    assert (await connection.get_participant(COLLEAGUE)).is_muted
    await connection.remove_participant(COLLEAGUE, operation_context="rp")
    await stage.reception.event("RemoveParticipantSucceeded")
    with pytest.raises(ResourceNotFoundError):
        await connection.get_participant(COLLEAGUE)
    assert (await stage.call(call_id))["state"] == "connected"


async def test_an_invited_participant_who_does_not_come_is_reported(stage: Stage) -> None:
    await stage.lab.put("/lab/callee", json={"outcome": "declined", "after_s": 0.0})
    _, connection = await stage.connected()
    await connection.add_participant(CommunicationUserIdentifier("8:acs:res_user"))
    failed = data(await stage.reception.event("AddParticipantFailed"))
    assert failed["participant"] == {
        "kind": "communicationUser",
        "rawId": "8:acs:res_user",
        "communicationUser": {"id": "8:acs:res_user"},
    }


async def test_an_invitation_ends_with_its_own_timeout(stage: Stage) -> None:
    await stage.lab.put("/lab/callee", json={"after_s": 30.0})
    _, connection = await stage.connected()
    await connection.add_participant(COLLEAGUE, source_caller_id_number=CALLER, invitation_timeout=1)
    info = data(await stage.reception.event("AddParticipantFailed"))["resultInformation"]
    assert isinstance(info, dict)
    assert (info["code"], info["subCode"]) == (487, 10004)


async def test_a_phone_number_is_not_added_without_a_caller_id(stage: Stage) -> None:
    _, connection = await stage.connected()
    with pytest.raises(HttpResponseError, match="SourceCallerIdNumber"):
        await connection.add_participant(COLLEAGUE)


async def test_removing_the_caller_ends_a_call_of_two(stage: Stage) -> None:
    call_id, connection = await stage.connected()
    await connection.remove_participant(CALLER)
    info = data(await stage.reception.event("CallDisconnected"))["resultInformation"]
    assert isinstance(info, dict)
    assert (info["code"], info["subCode"]) == (200, 5002)
    assert (await stage.call(call_id))["state"] == "ended"
