"""Frames of several people on the media socket, in forms that ACS's documentation leaves open."""

from __future__ import annotations

from azure.communication.callautomation import PhoneNumberIdentifier

from tests.contract.support.acs_stage import Json, MediaConnection, Stage, acs_stage
from tests.support.eventually import eventually

BOB = "4:+14255550177"
CALLER = "4:+14255550100"


async def joined(stage: Stage, **forms: object) -> tuple[str, MediaConnection]:
    await stage.forms(**forms)
    await stage.people(p177={"after_s": 0.0})
    call_id, connection = await stage.connected()
    await connection.add_participant(
        PhoneNumberIdentifier("+14255550177"), source_caller_id_number=PhoneNumberIdentifier("+18005551212")
    )
    await stage.reception.event("AddParticipantSucceeded")
    return call_id, await stage.media.connection()


def frames(media: MediaConnection, raw_id: str) -> list[Json]:
    bodies = [message["audioData"] for message in media.of_kind("AudioData")]
    return [body for body in bodies if isinstance(body, dict) and body["participantRawID"] == raw_id]


async def test_every_person_has_fifty_frames_a_second(stage: Stage) -> None:
    _, media = await joined(stage)
    await eventually(lambda: len(frames(media, BOB)) >= 50)
    first = next(n for n, (_, one) in enumerate(media.messages) if BOB in str(one))
    since = [one["audioData"]["participantRawID"] for _, one in media.messages[first:] if one["kind"] == "AudioData"]  # type: ignore[index]
    assert abs(since.count(BOB) - since.count(CALLER)) <= 1


async def test_a_silent_person_can_have_no_frames() -> None:
    async with acs_stage(noise_dbfs=None) as stage:
        call_id, media = await joined(stage, silent_party="none")
        await stage.lab.post(f"/lab/calls/{call_id}/say", json={"text": "I am the only one who speaks."})
        await stage.noted(call_id, "caller_ends", within_s=15)
        await eventually(lambda: len(frames(media, CALLER)) > 20)
        assert frames(media, BOB) == []


async def test_frames_can_come_in_bursts_with_their_own_timestamps(stage: Stage) -> None:
    _, media = await joined(stage, frame_timing="bursts")
    await eventually(lambda: len(frames(media, BOB)) >= 9)
    ids = [
        body["participantRawID"]
        for body in (m["audioData"] for m in media.of_kind("AudioData"))
        if isinstance(body, dict)
    ]
    start = ids.index(BOB)
    assert ids[start : start + 3] == [BOB] * 3
    stamps = [str(frame["timestamp"]) for frame in frames(media, BOB)[:3]]
    assert stamps == sorted(set(stamps))


async def test_a_caller_with_marks_keeps_them_in_a_call_of_three(stage: Stage) -> None:
    await stage.people(p177={"after_s": 0.0})
    call_id, connection = await stage.connected(audio="marks", mark=9)
    await connection.add_participant(
        PhoneNumberIdentifier("+14255550177"), source_caller_id_number=PhoneNumberIdentifier("+18005551212")
    )
    await stage.reception.event("AddParticipantSucceeded")
    media = await stage.media.connection()
    await eventually(lambda: len(frames(media, BOB)) >= 10)
    sent = (await stage.lab.get(f"/lab/calls/{call_id}/marks")).json()["sent"]
    assert [seq for seq, _ in sent] == list(range(len(sent)))
    await eventually(lambda: len(frames(media, CALLER)) >= len(sent))
