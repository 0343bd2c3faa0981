"""ParticipantsUpdated in every recorded form."""

from __future__ import annotations

import pytest
from azure.communication.callautomation import PhoneNumberIdentifier

from tests.contract.support.acs_stage import Json, Stage, data
from tests.support.eventually import eventually

BOB = PhoneNumberIdentifier("+14255550177")
NUMBER = PhoneNumberIdentifier("+18005551212")


def rosters(stage: Stage) -> list[tuple[object, list[str]]]:
    """Return sequence number and raw ids of each roster."""

    def ids(body: Json) -> list[str]:
        participants = body["participants"]
        assert isinstance(participants, list)
        return [one["identifier"]["rawId"] for one in participants]

    bodies = [data(event) for event in stage.reception.events("ParticipantsUpdated")]
    return [(body["sequenceNumber"], ids(body)) for body in bodies]


async def test_a_join_can_be_followed_by_a_flood_of_the_same_roster(stage: Stage) -> None:
    await stage.forms(roster="flood")
    await stage.people(p177={"after_s": 0.0})
    _, connection = await stage.connected()
    await connection.add_participant(BOB, source_caller_id_number=NUMBER)
    await eventually(lambda: len(rosters(stage)) == 6)
    numbers = [number for number, _ in rosters(stage)]
    assert numbers == [1, 2, 2, 4, 5, 5]
    assert len({tuple(ids) for _, ids in rosters(stage)[1:]}) == 1
    events = stage.reception.events("ParticipantsUpdated")
    assert len({event["id"] for event in events}) == 6


async def test_a_removed_participant_can_be_listed_once_more(stage: Stage) -> None:
    await stage.forms(roster="stale")
    await stage.people(p177={"after_s": 0.0})
    _, connection = await stage.connected()
    await connection.add_participant(BOB, source_caller_id_number=NUMBER)
    await stage.reception.event("AddParticipantSucceeded")
    await connection.remove_participant(BOB)
    await eventually(lambda: len(rosters(stage)) == 4)
    listed = ["4:+14255550177" in ids for _, ids in rosters(stage)]
    assert listed == [False, True, False, True]
    assert len([one async for one in connection.list_participants()]) == 2


@pytest.mark.parametrize("delay_s", [1.0])
async def test_a_roster_can_lag_behind(stage: Stage, delay_s: float) -> None:
    await stage.forms(roster_delay_s=delay_s)
    await stage.people(p177={"after_s": 0.0})
    _, connection = await stage.connected()
    await connection.add_participant(BOB, source_caller_id_number=NUMBER)
    await stage.reception.event("AddParticipantSucceeded")
    assert len(rosters(stage)) == 1
    await eventually(lambda: len(rosters(stage)) == 2)
