"""The unmodified Python SDK transfers the caller: the target answers or does not, alone or out of a group."""

from __future__ import annotations

import time

import numpy as np
import pytest
from azure.communication.callautomation import (
    MicrosoftTeamsAppIdentifier,
    MicrosoftTeamsUserIdentifier,
    PhoneNumberIdentifier,
    TeamsPhoneCallDetails,
)
from azure.communication.callautomation.aio import CallConnectionClient
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from lab.heard_audio import find_speech
from tests.contract.support.acs_stage import Stage, data, result_codes
from tests.support.eventually import eventually

CALLER = PhoneNumberIdentifier("+14255550100")
COLLEAGUE = PhoneNumberIdentifier("+14255550177")
OTHER = PhoneNumberIdentifier("+14255550178")
NUMBER = PhoneNumberIdentifier("+18005551212")


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
    assert result_codes(await stage.reception.event("CallDisconnected")) == (200, 7015)
    assert stage.reception.order()[-3:] == ["CallTransferAccepted", "MediaStreamingStopped", "CallDisconnected"]
    assert (await stage.call(call_id))["end_reason"] == "transferred"


@pytest.mark.parametrize(
    ("script", "codes"),
    [
        ({"outcome": "busy"}, (486, 560486)),
        ({"outcome": "declined"}, (603, 560603)),
        ({"outcome": "declined", "code": 603, "subCode": 0}, (603, 0)),
        ({"outcome": "no_answer"}, (487, 10004)),
        ({"outcome": "no_answer", "code": 480, "subCode": 560480}, (480, 560480)),
        ({"outcome": "wrong_number"}, (404, 560404)),
    ],
)
async def test_a_transfer_that_fails_keeps_the_call(
    stage: Stage, script: dict[str, object], codes: tuple[int, int]
) -> None:
    await stage.people(p177=script | {"after_s": 0.0})
    call_id, connection = await stage.connected()
    await connection.transfer_call_to_participant(COLLEAGUE, operation_context="tx")
    failed = await stage.reception.event("CallTransferFailed")
    assert result_codes(failed) == codes
    assert data(failed)["operationContext"] == "tx"
    assert (await stage.call(call_id))["state"] == "connected"
    assert (await connection.get_call_properties()).call_connection_state == "connected"


async def test_a_transfer_that_nobody_answers_fails_at_the_time_out_of_acs(stage: Stage) -> None:
    await stage.people(p177={"outcome": "no_answer"})
    await stage.forms(transfer_timeout_s=0.1)
    _, connection = await stage.connected()
    await connection.transfer_call_to_participant(COLLEAGUE)
    assert result_codes(await stage.reception.event("CallTransferFailed")) == (487, 10004)


async def test_a_voicemail_accepts_a_transfer(stage: Stage) -> None:
    await stage.people(p177={"outcome": "voicemail", "after_s": 0.0})
    _, connection = await stage.connected()
    await connection.transfer_call_to_participant(COLLEAGUE)
    await stage.reception.event("CallTransferAccepted")


async def test_a_second_transfer_is_a_conflict_until_the_first_has_failed(stage: Stage) -> None:
    await stage.people(p177={"outcome": "busy", "after_s": 1.5}, p178={"after_s": 0.0})
    _, connection = await stage.connected()
    await connection.transfer_call_to_participant(COLLEAGUE)
    with pytest.raises(ResourceExistsError) as refused:
        await connection.transfer_call_to_participant(OTHER)
    assert refused.value.error is not None
    assert refused.value.error.code == "8607"
    await stage.reception.event("CallTransferFailed")
    await connection.transfer_call_to_participant(OTHER)
    await stage.reception.event("CallTransferAccepted")


async def test_context_reaches_the_target_in_the_form_that_it_understands(stage: Stage) -> None:
    await stage.people(p177={"outcome": "busy", "after_s": 0.0})
    call_id, connection = await stage.connected()
    await connection.transfer_call_to_participant(
        COLLEAGUE,
        sip_headers={"X-MS-Custom-Topic": "refund", "User-To-User": "00AA"},
        voip_headers={"topic": "refund"},
        source_caller_id_number=NUMBER,
    )
    await stage.reception.event("CallTransferFailed")
    await connection.transfer_call_to_participant(
        MicrosoftTeamsAppIdentifier("queue"),
        voip_headers={"topic": "refund"},
        teams_phone_call_details=TeamsPhoneCallDetails(
            session_id="s1", call_topic="refund", call_context="wants money back"
        ),
    )
    await stage.reception.event("CallTransferAccepted")
    phone, queue = await stage.invitations(call_id)
    assert (phone["kind"], phone["target"], phone["outcome"]) == ("transfer", "4:+14255550177", "busy")
    assert phone["caller_id"] == "+18005551212"
    assert phone["delivered"] == {"sipHeaders": {"X-MS-Custom-Topic": "refund", "User-To-User": "00AA"}}
    assert (queue["target"], queue["outcome"]) == ("28:orgid:queue", "answered")
    details = queue["delivered"]["teamsPhoneCallDetails"]
    assert (details["sessionId"], details["callTopic"]) == ("s1", "refund")
    assert details["callContext"] == "wants money back"
    assert queue["delivered"]["voipHeaders"] == {"topic": "refund"}


@pytest.mark.parametrize(("form", "sub_code"), [("7000", 7000), ("5002", 5002)])
async def test_the_end_after_a_transfer_has_other_sub_codes(stage: Stage, form: str, sub_code: int) -> None:
    await stage.forms(accepted_transfer=form)
    await stage.people(p177={"after_s": 0.0})
    _, connection = await stage.connected()
    await connection.transfer_call_to_participant(COLLEAGUE)
    assert result_codes(await stage.reception.event("CallDisconnected")) == (200, sub_code)


async def test_the_end_can_be_reported_before_the_transfer(stage: Stage) -> None:
    await stage.forms(accepted_transfer="disconnected_first", transfer_close="cut")
    await stage.people(p177={"after_s": 0.0})
    _, connection = await stage.connected()
    media = await stage.media.connection()
    await stage.reception.event("MediaStreamingStarted")
    await connection.transfer_call_to_participant(MicrosoftTeamsUserIdentifier("ada"))
    await stage.reception.event("CallTransferAccepted")
    assert stage.reception.order()[-2:] == ["CallDisconnected", "CallTransferAccepted"]
    await eventually(lambda: media.socket.close_code == 1006)


async def test_the_end_after_a_transfer_can_be_silent(stage: Stage) -> None:
    await stage.forms(accepted_transfer="no_event")
    await stage.people(p177={"after_s": 0.0})
    call_id, connection = await stage.connected()
    await connection.transfer_call_to_participant(COLLEAGUE)
    await stage.reception.event("CallTransferAccepted")
    await stage.noted(call_id, "ended")
    with pytest.raises(ResourceNotFoundError):
        await connection.get_call_properties()
    assert stage.reception.events("CallDisconnected") == []


async def test_a_failed_transfer_can_leave_a_call_that_rejects_actions(stage: Stage) -> None:
    await stage.forms(failed_transfer="not_established")
    await stage.people(p177={"outcome": "busy", "after_s": 0.0})
    _, connection = await stage.connected()
    await connection.transfer_call_to_participant(COLLEAGUE)
    await stage.reception.event("CallTransferFailed")
    with pytest.raises(HttpResponseError) as refused:
        await connection.mute_participant(CALLER)
    assert refused.value.error is not None
    assert refused.value.error.code == "8501"

    async def accepted() -> bool:
        try:
            await connection.mute_participant(CALLER)
        except HttpResponseError:
            return False
        return True

    await eventually(accepted, every_s=0.2)


async def test_a_failed_transfer_can_end_the_call(stage: Stage) -> None:
    await stage.forms(failed_transfer="ends")
    await stage.people(p177={"outcome": "busy", "after_s": 0.0})
    call_id, connection = await stage.connected()
    await stage.reception.event("MediaStreamingStarted")
    await connection.transfer_call_to_participant(COLLEAGUE)
    assert result_codes(await stage.reception.event("CallDisconnected")) == (410, 301005)
    assert stage.reception.order()[-3:] == ["CallTransferFailed", "MediaStreamingStopped", "CallDisconnected"]
    assert (await stage.call(call_id))["end_reason"] == "lost_after_transfer"


async def test_no_frames_come_while_the_target_rings_and_they_come_again(stage: Stage) -> None:
    await stage.forms(transfer_media="stops")
    await stage.people(p177={"outcome": "busy", "after_s": 0.6})
    call_id, connection = await stage.connected()
    media = await stage.media.connection()
    await eventually(lambda: media.of_kind("AudioData"))
    await connection.transfer_call_to_participant(COLLEAGUE)
    rang = time.monotonic()
    [failed] = await stage.noted(call_id, "transfer_failed")
    meanwhile = [t for t, _ in media.messages if rang + 0.1 < t < float(str(failed["t"]))]
    assert len(meanwhile) <= 5, "of the 25 frames of half a second"
    count = len(media.of_kind("AudioData"))
    await eventually(lambda: len(media.of_kind("AudioData")) > count + 5)


async def test_our_audio_can_be_unheard_while_the_target_rings(stage: Stage) -> None:
    await stage.forms(transfer_media="silent")
    await stage.people(p177={"outcome": "busy", "after_s": 1.5})
    call_id, connection = await stage.connected()
    media = await stage.media.connection()
    await connection.transfer_call_to_participant(COLLEAGUE)
    await media.say(b"\x00\x40" * 8000)
    await stage.noted(call_id, "transfer_failed")
    assert await stage.timeline(call_id, "agent_starts") == []
    await media.say(b"\x00\x40" * 8000)
    await stage.noted(call_id, "agent_starts")


async def test_the_media_socket_can_be_closed_during_a_transfer(stage: Stage) -> None:
    await stage.forms(transfer_media="closed")
    await stage.people(p177={"outcome": "busy", "after_s": 0.2})
    _, connection = await stage.connected()
    media = await stage.media.connection()
    await connection.transfer_call_to_participant(COLLEAGUE)
    await eventually(lambda: media.socket.close_code == 1000)
    again = await stage.media.connection(2)
    await eventually(lambda: again.of_kind("AudioData"))


async def test_a_call_may_have_scripts_and_forms_of_its_own(stage: Stage) -> None:
    await stage.people(p177={"outcome": "busy", "after_s": 0.0})
    own = {"people": {"+14255550177": {"outcome": "declined", "after_s": 0.0}}, "forms": {"failed_transfer": "ends"}}
    call_id, connection = await stage.connected(**own)
    await connection.transfer_call_to_participant(COLLEAGUE)
    assert result_codes(await stage.reception.event("CallTransferFailed")) == (603, 560603)
    await stage.noted(call_id, "ended")
    other_id, connection = await stage.connected()
    await connection.transfer_call_to_participant(COLLEAGUE)
    await eventually(lambda: len(stage.reception.events("CallTransferFailed")) == 2)
    assert result_codes(stage.reception.events("CallTransferFailed")[1]) == (486, 560486)
    assert (await stage.call(other_id))["state"] == "connected"


async def test_caller_and_target_talk_after_the_transfer(stage: Stage) -> None:
    await stage.forms(after_transfer="continues")
    steps = [{"pause_ms": 300}, {"say": "This is the desk."}, {"pause_ms": 300}, {"hang_up": True}]
    await stage.people(p177={"after_s": 0.0, "steps": steps})
    call_id, connection = await stage.connected()
    media = await stage.media.connection()
    await stage.reception.event("MediaStreamingStarted")
    await connection.transfer_call_to_participant(COLLEAGUE)
    assert result_codes(await stage.reception.event("CallDisconnected")) == (200, 7015)
    assert stage.reception.order()[-3:] == ["CallTransferAccepted", "MediaStreamingStopped", "CallDisconnected"]
    await eventually(lambda: media.socket.close_code == 1000)
    with pytest.raises(ResourceNotFoundError):
        await connection.get_call_properties()
    call = await stage.state(call_id, "ended", within_s=15)
    assert call["app_left"] is True
    desk, caller = await stage.recording(call_id, "+14255550177"), await stage.recording(call_id)
    said = desk.caller[: len(desk.agent)]
    assert np.abs(said).max(initial=0.0) > 3000
    found = find_speech(caller.agent, caller.rate_hz, said.astype("<i2").tobytes())
    assert found.likeness > 0.9, "the caller hears the target"


@pytest.mark.parametrize("form", ["throttled", "declined"])
async def test_a_number_may_call_two_people_at_a_time(stage: Stage, form: str) -> None:
    await stage.forms(outbound_limit=form)
    await stage.people(p177={"after_s": 0.0}, p178={"after_s": 0.0}, p179={"after_s": 0.0})
    _, connection = await stage.connected()
    await connection.add_participant(COLLEAGUE, source_caller_id_number=NUMBER)
    await connection.add_participant(OTHER, source_caller_id_number=NUMBER)
    await eventually(lambda: len(stage.reception.events("AddParticipantSucceeded")) == 2)
    third = PhoneNumberIdentifier("+14255550179")
    if form == "throttled":
        with pytest.raises(HttpResponseError) as refused:
            await connection.add_participant(third, source_caller_id_number=NUMBER)
        assert refused.value.status_code == 429
    else:
        await connection.add_participant(third, source_caller_id_number=NUMBER)
        assert result_codes(await stage.reception.event("AddParticipantFailed")) == (603, 560603)
    await connection.remove_participant(COLLEAGUE)
    await stage.reception.event("RemoveParticipantSucceeded")
    await connection.add_participant(third, source_caller_id_number=NUMBER)
    await eventually(lambda: len(stage.reception.events("AddParticipantSucceeded")) == 3)


async def in_group(stage: Stage) -> tuple[str, CallConnectionClient]:
    await stage.people(p177={"after_s": 0.0}, p178={"after_s": 0.0})
    call_id, connection = await stage.connected()
    await connection.add_participant(COLLEAGUE, source_caller_id_number=NUMBER)
    await stage.reception.event("AddParticipantSucceeded")
    return call_id, connection


async def test_a_transfer_out_of_a_group_takes_only_the_transferee(stage: Stage) -> None:
    call_id, connection = await in_group(stage)
    with pytest.raises(HttpResponseError, match="Transferee is required"):
        await connection.transfer_call_to_participant(OTHER)
    await connection.transfer_call_to_participant(OTHER, transferee=CALLER)
    accepted = data(await stage.reception.event("CallTransferAccepted"))
    assert accepted["transferee"] == {
        "kind": "phoneNumber",
        "rawId": "4:+14255550100",
        "phoneNumber": {"value": "+14255550100"},
    }
    await eventually(lambda: len(stage.reception.events("ParticipantsUpdated")) == 3)
    roster = data(stage.reception.events("ParticipantsUpdated")[-1])["participants"]
    assert isinstance(roster, list)
    assert "4:+14255550100" not in [one["identifier"]["rawId"] for one in roster]
    call = await stage.call(call_id)
    assert call["state"] == "connected"
    assert stage.reception.events("CallDisconnected") == []


@pytest.mark.parametrize("form", ["refused", "failed"])
async def test_a_transfer_out_of_a_group_can_be_impossible(stage: Stage, form: str) -> None:
    await stage.forms(group_transfer=form)
    call_id, connection = await in_group(stage)
    if form == "refused":
        with pytest.raises(HttpResponseError) as refused:
            await connection.transfer_call_to_participant(OTHER, transferee=CALLER)
        assert refused.value.error is not None
        assert refused.value.error.code == "8585"
    else:
        await connection.transfer_call_to_participant(OTHER, transferee=CALLER)
        assert result_codes(await stage.reception.event("CallTransferFailed")) == (400, 8585)
    participants = (await stage.call(call_id))["participants"]
    assert isinstance(participants, list)
    assert len(participants) == 3
