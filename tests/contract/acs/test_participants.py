"""The unmodified Python SDK lists, adds, cancels, removes and mutes participants."""

from __future__ import annotations

import pytest
from azure.communication.callautomation import CommunicationUserIdentifier, DtmfTone, PhoneNumberIdentifier
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from tests.contract.support.acs_stage import Stage, data, result_codes
from tests.support.eventually import eventually

CALLER = PhoneNumberIdentifier("+14255550100")
COLLEAGUE = PhoneNumberIdentifier("+14255550177")


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


@pytest.mark.parametrize(
    ("script", "codes"),
    [
        ({"outcome": "busy"}, (486, 560486)),
        ({"outcome": "declined"}, (603, 560603)),
        ({"outcome": "declined", "code": 200, "subCode": 5002}, (200, 5002)),
        ({"outcome": "no_answer", "code": 408, "subCode": 560408}, (408, 560408)),
        ({"outcome": "network_error"}, (503, 560503)),
        ({"outcome": "silent_client"}, (408, 10057)),
    ],
)
async def test_an_add_that_fails_has_the_recorded_message(
    stage: Stage, script: dict[str, object], codes: tuple[int, int]
) -> None:
    await stage.people(p177=script | {"after_s": 0.0})
    call_id, connection = await stage.connected()
    added = await connection.add_participant(COLLEAGUE, source_caller_id_number=CALLER, operation_context="ap")
    failed = await stage.reception.event("AddParticipantFailed")
    assert result_codes(failed) == codes
    assert (data(failed)["invitationId"], data(failed)["operationContext"]) == (added.invitation_id, "ap")
    message = str(data(failed)["resultInformation"])
    assert "addParticipants failed for participant 4:+14255550177. Underlying reason: " in message
    assert f"DiagCode: {codes[0]}#{codes[1]}.@" in message
    [row] = await stage.timeline(call_id, "participant_not_reached")
    assert row["participant"] == "4:+14255550177"


async def test_nobody_is_listed_or_invited_twice_while_the_phone_rings(stage: Stage) -> None:
    await stage.people(p177={"after_s": 60.0})
    _, connection = await stage.connected()
    await connection.add_participant(COLLEAGUE, source_caller_id_number=CALLER)
    assert len([one async for one in connection.list_participants()]) == 2
    with pytest.raises(HttpResponseError) as refused:
        await connection.add_participant(COLLEAGUE, source_caller_id_number=CALLER)
    assert refused.value.error is not None
    assert refused.value.error.code == "8523"


@pytest.mark.parametrize("form", ["succeeded", "both"])
async def test_a_ringing_invitation_is_canceled(stage: Stage, form: str) -> None:
    await stage.forms(cancel_events=form)
    await stage.people(p177={"after_s": 60.0})
    call_id, connection = await stage.connected()
    added = await connection.add_participant(COLLEAGUE, source_caller_id_number=CALLER, operation_context="ap")
    assert added.invitation_id is not None
    canceled = await connection.cancel_add_participant_operation(added.invitation_id, operation_context="ca")
    assert canceled.operation_context == "ca"
    event = await stage.reception.event("CancelAddParticipantSucceeded")
    assert data(event)["invitationId"] == added.invitation_id
    assert result_codes(event) == (487, 5234)
    if form == "both":
        assert result_codes(await stage.reception.event("AddParticipantFailed")) == (487, 5234)
    [invited] = await stage.invitations(call_id)
    assert invited["outcome"] == "canceled"
    assert stage.reception.events("AddParticipantSucceeded") == []


async def test_a_phone_stops_ringing_when_the_call_ends(stage: Stage) -> None:
    await stage.people(p177={"after_s": 60.0})
    call_id, connection = await stage.connected()
    await connection.add_participant(COLLEAGUE, source_caller_id_number=CALLER)
    await stage.lab.post(f"/lab/calls/{call_id}/hangup")
    await stage.noted(call_id, "ended")
    [invited] = await stage.invitations(call_id)
    assert invited["outcome"] == "call_ended"
    assert stage.reception.events("AddParticipantFailed") == []


async def test_a_cancellation_can_come_too_late(stage: Stage) -> None:
    await stage.forms(cancel_events="failed")
    await stage.people(p177={"after_s": 0.3})
    _, connection = await stage.connected()
    added = await connection.add_participant(COLLEAGUE, source_caller_id_number=CALLER)
    assert added.invitation_id is not None
    await connection.cancel_add_participant_operation(added.invitation_id)
    await stage.reception.event("CancelAddParticipantFailed")
    await stage.reception.event("AddParticipantSucceeded")


async def test_an_answered_invitation_cannot_be_canceled(stage: Stage) -> None:
    await stage.people(p177={"after_s": 0.0})
    _, connection = await stage.connected()
    added = await connection.add_participant(COLLEAGUE, source_caller_id_number=CALLER)
    await stage.reception.event("AddParticipantSucceeded")
    assert added.invitation_id is not None
    await connection.cancel_add_participant_operation(added.invitation_id)
    failed = data(await stage.reception.event("CancelAddParticipantFailed"))
    assert failed["invitationId"] == added.invitation_id
    with pytest.raises(HttpResponseError, match="InvitationId is invalid"):
        await connection.cancel_add_participant_operation("invented")


@pytest.mark.parametrize(
    ("form", "events"),
    [
        ("roster_first", ["ParticipantsUpdated", "AddParticipantSucceeded"]),
        ("success_first", ["AddParticipantSucceeded", "ParticipantsUpdated"]),
        ("roster_only", ["ParticipantsUpdated"]),
        ("success_only", ["AddParticipantSucceeded"]),
    ],
)
async def test_a_join_is_reported_in_every_order(stage: Stage, form: str, events: list[str]) -> None:
    await stage.forms(join_events=form)
    await stage.people(p177={"after_s": 0.0})
    call_id, connection = await stage.connected()
    await stage.reception.event("MediaStreamingStarted")
    before = len(stage.reception.order())
    await connection.add_participant(COLLEAGUE, source_caller_id_number=CALLER)
    await stage.noted(call_id, "participant_added")
    await connection.send_dtmf_tones([DtmfTone.ONE], CALLER)
    await stage.reception.event("SendDtmfTonesCompleted")
    assert stage.reception.order()[before:] == [*events, "SendDtmfTonesCompleted"]


async def test_context_caller_id_and_name_of_an_add_are_kept(stage: Stage) -> None:
    await stage.people(p177={"after_s": 0.0})
    call_id, connection = await stage.connected()
    await connection.add_participant(
        COLLEAGUE,
        source_caller_id_number=CALLER,
        source_display_name="Contoso",
        invitation_timeout=20,
        sip_headers={"X-MS-Custom-Topic": "refund"},
        voip_headers={"topic": "refund"},
    )
    await stage.reception.event("AddParticipantSucceeded")
    [invited] = await stage.invitations(call_id)
    assert (invited["kind"], invited["outcome"], invited["timeout_s"]) == ("add", "answered", 20)
    assert (invited["caller_id"], invited["display_name"]) == ("+14255550100", "Contoso")
    assert invited["sent"]["voipHeaders"] == {"topic": "refund"}
    assert invited["delivered"] == {"sipHeaders": {"X-MS-Custom-Topic": "refund"}}
    used = [row["where"] for row in (await stage.lab.get("/lab/unsupported")).json() if row["used"]]
    assert used == []


async def test_removing_the_caller_ends_a_call_of_two(stage: Stage) -> None:
    call_id, connection = await stage.connected()
    await connection.remove_participant(CALLER)
    info = data(await stage.reception.event("CallDisconnected"))["resultInformation"]
    assert isinstance(info, dict)
    assert (info["code"], info["subCode"]) == (200, 5002)
    assert (await stage.call(call_id))["state"] == "ended"
