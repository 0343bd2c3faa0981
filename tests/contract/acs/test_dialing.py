"""The unmodified Python SDK calls several people at once."""

from __future__ import annotations

import pytest
from azure.communication.callautomation import (
    CommunicationIdentifier,
    CommunicationUserIdentifier,
    PhoneNumberIdentifier,
)
from azure.communication.callautomation.aio import CallConnectionClient
from azure.core.exceptions import HttpResponseError

from tests.contract.support.acs_stage import Stage, result_codes
from tests.support.eventually import eventually

ADA = PhoneNumberIdentifier("+14255550177")
BOB = PhoneNumberIdentifier("+14255550178")
NUMBER = PhoneNumberIdentifier("+18005551212")


async def called(stage: Stage, *targets: CommunicationIdentifier) -> tuple[str, CallConnectionClient]:
    client = stage.client()
    created = await client.create_call(
        list(targets), stage.callback_url, source_caller_id_number=NUMBER, media_streaming=stage.streaming()
    )
    assert created.targets is not None
    assert [one.raw_id for one in created.targets] == [one.raw_id for one in targets]
    assert created.call_connection_id is not None
    [call] = (await stage.lab.get("/lab/calls")).json()["calls"]
    return call["id"], client.get_call_connection(created.call_connection_id)


async def members(connection: CallConnectionClient) -> set[str]:
    ids = {one.identifier.raw_id async for one in connection.list_participants() if one.identifier is not None}
    return {raw_id for raw_id in ids if raw_id.startswith("4:")}


async def test_the_first_to_answer_connects_the_call_and_others_join_it(stage: Stage) -> None:
    await stage.people(p177={"after_s": 1.5}, p178={"after_s": 0.0, "steps": [{"say": "Bob here."}]})
    call_id, connection = await called(stage, ADA, BOB)
    await stage.reception.event("CallConnected")
    assert await members(connection) == {"4:+14255550178"}
    [row] = await stage.noted(call_id, "caller_says")
    assert row["text"] == "Bob here."
    await stage.noted(call_id, "participant_added")
    assert await members(connection) == {"4:+14255550177", "4:+14255550178"}
    await eventually(lambda: len(stage.reception.events("ParticipantsUpdated")) == 2)
    assert stage.reception.events("AddParticipantSucceeded") == []


async def test_people_who_do_not_answer_have_no_event(stage: Stage) -> None:
    await stage.people(p177={"outcome": "busy", "after_s": 0.0}, p178={"after_s": 0.1})
    call_id, connection = await called(stage, ADA, BOB)
    await stage.reception.event("CallConnected")
    assert await members(connection) == {"4:+14255550178"}
    [row] = await stage.timeline(call_id, "callee_not_reached")
    assert (row["participant"], row["reason"]) == ("4:+14255550177", "busy")
    assert stage.reception.events("CreateCallFailed") == []


async def test_a_call_that_nobody_answers_fails_with_the_last_outcome(stage: Stage) -> None:
    await stage.people(p177={"outcome": "declined", "after_s": 0.1}, p178={"outcome": "busy", "after_s": 0.0})
    await called(stage, ADA, BOB)
    assert result_codes(await stage.reception.event("CreateCallFailed")) == (603, 560603)
    await stage.reception.event("CallDisconnected")


async def test_nobody_is_called_twice_in_one_call(stage: Stage) -> None:
    user = CommunicationUserIdentifier("8:acs:res_user")
    with pytest.raises(HttpResponseError, match="the same participant twice"):
        await stage.client().create_call([user, user], stage.callback_url)
