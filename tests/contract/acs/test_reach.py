"""Caller ids that ACS refuses, when the unmodified SDK adds, transfers to or calls a phone number."""

from __future__ import annotations

import pytest
from azure.communication.callautomation import CommunicationUserIdentifier, PhoneNumberIdentifier
from azure.core.exceptions import HttpResponseError

from tests.contract.support.acs_stage import Stage, data, result_codes

COLLEAGUE = PhoneNumberIdentifier("+14255550177")
NUMBER = PhoneNumberIdentifier("+18005551212")


async def test_a_caller_id_can_be_refused_at_once(stage: Stage) -> None:
    await stage.forms(caller_id="refused")
    _, connection = await stage.connected()
    client = stage.client()
    for attempt in (
        connection.add_participant(COLLEAGUE, source_caller_id_number=NUMBER),
        connection.transfer_call_to_participant(COLLEAGUE, source_caller_id_number=NUMBER),
        client.create_call(COLLEAGUE, stage.callback_url, source_caller_id_number=NUMBER),
    ):
        with pytest.raises(HttpResponseError, match="not a number of this resource") as refused:
            await attempt
        assert refused.value.error is not None
        assert refused.value.error.code == "8523"


async def test_a_caller_id_can_be_refused_by_the_network(stage: Stage) -> None:
    await stage.forms(caller_id="not_owned")
    await stage.lab.put("/lab/callee", json={"after_s": 0.0})
    _, connection = await stage.connected()
    await connection.add_participant(COLLEAGUE, source_caller_id_number=NUMBER)
    assert result_codes(await stage.reception.event("AddParticipantFailed")) == (403, 510403)
    await connection.transfer_call_to_participant(COLLEAGUE, source_caller_id_number=NUMBER)
    assert result_codes(await stage.reception.event("CallTransferFailed")) == (403, 510403)
    await connection.add_participant(CommunicationUserIdentifier("8:acs:res_user"))
    assert data(await stage.reception.event("AddParticipantSucceeded"))["invitationId"]


@pytest.mark.parametrize("timeout_s", [181, -1])
async def test_an_invitation_time_out_has_limits(stage: Stage, timeout_s: int) -> None:
    _, connection = await stage.connected()
    with pytest.raises(HttpResponseError, match="InvitationTimeoutInSeconds must be between 0 and 180"):
        await connection.add_participant(COLLEAGUE, source_caller_id_number=NUMBER, invitation_timeout=timeout_s)


async def test_without_a_time_out_a_phone_rings_as_long_as_acs_lets_it(stage: Stage) -> None:
    await stage.forms(invitation_timeout_s=0.2)
    await stage.people(p177={"outcome": "no_answer"})
    _, connection = await stage.connected()
    await connection.add_participant(COLLEAGUE, source_caller_id_number=NUMBER)
    assert result_codes(await stage.reception.event("AddParticipantFailed")) == (487, 10004)


async def test_headers_with_line_breaks_are_refused(stage: Stage) -> None:
    call_id, connection = await stage.connected()
    with pytest.raises(HttpResponseError, match="line breaks"):
        await connection.add_participant(
            COLLEAGUE, source_caller_id_number=NUMBER, sip_headers={"X-MS-Custom-A": "b\r\nEvil: c"}
        )
    assert (await stage.call(call_id))["invitations"] == []
