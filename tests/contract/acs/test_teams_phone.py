"""A call to a Teams resource account: its event, and what Call Automation refuses in it."""

from __future__ import annotations

import pytest
from azure.communication.callautomation import (
    MicrosoftTeamsAppIdentifier,
    MicrosoftTeamsUserIdentifier,
    PhoneNumberIdentifier,
    TeamsPhoneCallDetails,
)
from azure.core.exceptions import HttpResponseError

from tests.contract.support.acs_stage import Stage, data, result_codes

ACCOUNT = "28:orgid:cc123456-5678-9012-3456-789012345678"
CALLER = PhoneNumberIdentifier("+14255550100")
COLLEAGUE = PhoneNumberIdentifier("+14255550177")
NUMBER = PhoneNumberIdentifier("+18005551212")
ADA = MicrosoftTeamsUserIdentifier("ada")
QUEUE = MicrosoftTeamsAppIdentifier("queue")


async def test_the_event_names_the_account_but_no_number(stage: Stage) -> None:
    await stage.place(to=ACCOUNT, customContext={"voipHeaders": {"X-Topic": "refund"}})
    event = data(stage.reception.incoming[0].events[0])
    assert event["to"] == {"kind": "unknown", "rawId": ACCOUNT}
    assert event["customContext"] == {"voipHeaders": {"X-Topic": "refund"}}


async def test_a_caller_id_is_refused_and_not_needed(stage: Stage) -> None:
    _, connection = await stage.connected(to=ACCOUNT)
    for attempt in (
        connection.add_participant(COLLEAGUE, source_caller_id_number=NUMBER),
        connection.add_participant(ADA, source_display_name="Contoso"),
        connection.transfer_call_to_participant(COLLEAGUE, source_caller_id_number=NUMBER),
    ):
        with pytest.raises(HttpResponseError, match="not allowed in a Teams Phone call") as refused:
            await attempt
        assert refused.value.error is not None
        assert refused.value.error.code == "8523"
    await stage.people(p177={"after_s": 0.0})
    await connection.add_participant(COLLEAGUE)
    await stage.reception.event("AddParticipantSucceeded")


async def test_a_teams_user_gets_voip_headers_and_the_details(stage: Stage) -> None:
    await stage.lab.put("/lab/callee", json={"after_s": 0.0})
    call_id, connection = await stage.connected(to=ACCOUNT)
    details = TeamsPhoneCallDetails(call_topic="refund", call_context="The caller wants a refund.")
    await connection.add_participant(ADA, voip_headers={"topic": "refund"}, teams_phone_call_details=details)
    await stage.reception.event("AddParticipantSucceeded")
    [invited] = await stage.invitations(call_id)
    assert invited["target"] == "8:orgid:ada"
    assert invited["delivered"]["voipHeaders"] == {"topic": "refund"}
    assert invited["delivered"]["teamsPhoneCallDetails"]["callTopic"] == "refund"


@pytest.mark.parametrize("target", [ADA, QUEUE])
async def test_teams_users_and_queues_can_be_out_of_reach(
    stage: Stage, target: MicrosoftTeamsUserIdentifier | MicrosoftTeamsAppIdentifier
) -> None:
    await stage.forms(teams_targets="refused")
    _, connection = await stage.connected(to=ACCOUNT)
    await connection.add_participant(target)
    assert result_codes(await stage.reception.event("AddParticipantFailed")) == (403, 10124)
    await connection.transfer_call_to_participant(target)
    assert result_codes(await stage.reception.event("CallTransferFailed")) == (403, 10124)
    await stage.people(p177={"after_s": 0.0})
    await connection.add_participant(COLLEAGUE)
    await stage.reception.event("AddParticipantSucceeded")


async def test_nobody_is_held_or_muted(stage: Stage) -> None:
    _, connection = await stage.connected(to=ACCOUNT)
    for attempt in (connection.hold(CALLER), connection.unhold(CALLER), connection.mute_participant(CALLER)):
        with pytest.raises(HttpResponseError, match="not supported in a Teams Phone call"):
            await attempt


async def test_a_call_on_behalf_of_the_account_cannot_be_redirected(stage: Stage) -> None:
    call_id = await stage.place(to=ACCOUNT, onBehalfOfCallee={"rawId": "4:+14255550199"})
    assert data(stage.reception.incoming[0].events[0])["onBehalfOfCallee"] == {"rawId": "4:+14255550199"}
    client = stage.client()
    with pytest.raises(HttpResponseError, match="on-behalf-of"):
        await client.redirect_call(stage.context(), COLLEAGUE)
    assert (await stage.call(call_id))["state"] == "ringing"
    await client.answer_call(stage.context(), stage.callback_url)
    await stage.reception.event("CallConnected")


async def test_an_account_calls_with_its_own_number(stage: Stage) -> None:
    await stage.people(p177={"after_s": 0.0})
    client = stage.client()
    with pytest.raises(HttpResponseError, match="not allowed in a Teams Phone call"):
        await client.create_call(
            COLLEAGUE,
            stage.callback_url,
            teams_app_source=MicrosoftTeamsAppIdentifier(ACCOUNT.removeprefix("28:orgid:")),
            source_caller_id_number=NUMBER,
        )
    await client.create_call(
        COLLEAGUE,
        stage.callback_url,
        teams_app_source=MicrosoftTeamsAppIdentifier(ACCOUNT.removeprefix("28:orgid:")),
    )
    await stage.reception.event("CallConnected")
    [call] = (await stage.lab.get("/lab/calls")).json()["calls"]
    assert call["from"] == ACCOUNT
