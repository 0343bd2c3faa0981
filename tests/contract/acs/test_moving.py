"""The unmodified Python SDK moves a dialed person from a second call into the caller's."""

from __future__ import annotations

import pytest
from azure.communication.callautomation import PhoneNumberIdentifier
from azure.communication.callautomation.aio import CallConnectionClient
from azure.core.exceptions import ResourceNotFoundError

from tests.contract.support.acs_stage import Stage, data, result_codes, types
from tests.support.eventually import eventually

BOB = PhoneNumberIdentifier("+14255550177")
NUMBER = PhoneNumberIdentifier("+18005551212")


async def two_calls(stage: Stage) -> tuple[str, CallConnectionClient, str, CallConnectionClient]:
    """Return id (in the simulator) and connection of the caller's call, and id and connection of the call to Bob."""
    await stage.people(p177={"after_s": 0.0, "steps": [{"pause_ms": 5000}, {"say": "Bob here."}]})
    call_id, connection = await stage.connected()
    client = stage.client()
    dialed = await client.create_call(
        BOB,
        stage.url_of("/callbacks/bob"),
        source_caller_id_number=NUMBER,
        media_streaming=stage.streaming(),
    )
    await eventually(lambda: [post for post in stage.reception.callbacks if post.path == "/callbacks/bob"])
    assert dialed.call_connection_id is not None
    bob = dialed.call_connection_id
    return call_id, connection, bob, client.get_call_connection(bob)


def of_bob(stage: Stage, kind: str) -> list[dict[str, object]]:
    posts = [post for post in stage.reception.callbacks if post.path == "/callbacks/bob"]
    return [event for post in posts for event in post.events if types([event]) == [kind]]


@pytest.mark.parametrize(("form", "sub_code"), [("5010", 5010), ("5002", 5002)])
async def test_a_person_moves_with_the_rest_of_the_script(stage: Stage, form: str, sub_code: int) -> None:
    await stage.forms(emptied_call=form)
    call_id, connection, bob, dialed = await two_calls(stage)
    moved = await connection.move_participants([BOB], bob, operation_context="mv")
    assert moved.operation_context == "mv"
    succeeded = data(await stage.reception.event("MoveParticipantSucceeded"))
    assert succeeded["fromCall"] == bob
    ids = [one.identifier.raw_id async for one in connection.list_participants() if one.identifier is not None]
    assert len(ids) == 3
    [row] = await stage.noted(call_id, "participant_says")
    assert row["text"] == "Bob here."
    await eventually(lambda: of_bob(stage, "CallDisconnected"))
    assert result_codes(of_bob(stage, "CallDisconnected")[0]) == (200, sub_code)
    with pytest.raises(ResourceNotFoundError):
        await dialed.get_call_properties()


async def test_an_emptied_call_can_stay(stage: Stage) -> None:
    await stage.forms(emptied_call="stays")
    _, connection, bob, dialed = await two_calls(stage)
    await connection.move_participants([BOB], bob)
    await stage.reception.event("MoveParticipantSucceeded")
    assert len([one async for one in dialed.list_participants()]) == 1
    await dialed.hang_up(is_for_everyone=True)
    await eventually(lambda: of_bob(stage, "CallDisconnected"))
    assert result_codes(of_bob(stage, "CallDisconnected")[0]) == (200, 7000)


async def test_only_participants_of_a_running_call_can_be_moved(stage: Stage) -> None:
    _, connection = await stage.connected()
    with pytest.raises(ResourceNotFoundError, match="Call not found"):
        await connection.move_participants([BOB], "invented")
