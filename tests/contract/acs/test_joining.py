"""A person is added to the call by the unmodified SDK: who hears whom, and what the media socket carries."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from azure.communication.callautomation import MediaStreamingAudioChannelType, PhoneNumberIdentifier
from azure.communication.callautomation.aio import CallConnectionClient

from lab.heard_audio import find_speech
from lab.speech import synthesize
from tests.contract.support.acs_stage import MediaConnection, Stage, acs_stage, data, result_codes
from tests.support.eventually import eventually

CALLER = PhoneNumberIdentifier("+14255550100")
COLLEAGUE = PhoneNumberIdentifier("+14255550177")
NUMBER = PhoneNumberIdentifier("+18005551212")
BOB = "4:+14255550177"
RATE_HZ = 16_000
CALLER_SAYS = "I would like to talk to a person about my refund."
BOB_SAYS = "Good morning, this is Bob from the billing department."
AGENT_SAYS = "Bob, the caller wants a refund for an order of last week."


def speech(text: str) -> bytes:
    return synthesize(text, RATE_HZ)


async def joined(stage: Stage, *, mixed: bool = False, **script: object) -> tuple[str, CallConnectionClient]:
    await stage.people(p177={"after_s": 0.0} | script)
    call_id = await stage.place()
    client = stage.client()
    channel = MediaStreamingAudioChannelType.MIXED if mixed else MediaStreamingAudioChannelType.UNMIXED
    answer = await client.answer_call(
        stage.context(), stage.callback_url, media_streaming=stage.streaming(channel=channel)
    )
    await stage.reception.event("MediaStreamingStarted")
    assert answer.call_connection_id is not None
    connection = client.get_call_connection(answer.call_connection_id)
    await connection.add_participant(COLLEAGUE, source_caller_id_number=NUMBER)
    await stage.reception.event("AddParticipantSucceeded")
    return call_id, connection


def audio(media: MediaConnection, raw_id: str | None) -> bytes:
    """Return the audio of one participant on the media socket."""
    frames = [message["audioData"] for message in media.of_kind("AudioData")]
    return b"".join(
        base64.b64decode(frame["data"])
        for frame in frames
        if isinstance(frame, dict) and frame.get("participantRawID") == raw_id
    )


def likeness(pcm: bytes, text: str) -> float:
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float64)
    return find_speech(samples, RATE_HZ, speech(text)).likeness


async def test_three_speak_and_each_hears_the_two_others() -> None:
    async with acs_stage(noise_dbfs=None) as stage:
        call_id, _ = await joined(stage)
        media = await stage.media.connection()
        await stage.lab.post(f"/lab/calls/{call_id}/say", json={"text": CALLER_SAYS})
        await stage.lab.post(f"/lab/calls/{call_id}/parties/{BOB}/say", json={"text": BOB_SAYS})
        await media.say(speech(AGENT_SAYS))
        await stage.noted(call_id, "caller_ends", within_s=15)
        await stage.noted(call_id, "participant_ends", within_s=15)
        await stage.noted(call_id, "participant_hears_agent_end", within_s=15)
        await stage.noted(call_id, "agent_ends", within_s=15)
        caller, bob = await stage.recording(call_id), await stage.recording(call_id, BOB)
        for recording, heard, unheard in ((caller, BOB_SAYS, CALLER_SAYS), (bob, CALLER_SAYS, BOB_SAYS)):
            own = find_speech(recording.caller, RATE_HZ, speech(unheard))
            assert own.likeness > 0.99
            of_agent = recording.agent.astype("<i2").tobytes()
            assert likeness(of_agent, heard) > 0.5, "both voices at once"
            assert likeness(of_agent, AGENT_SAYS) > 0.5
            assert likeness(of_agent, unheard) < 0.3, "nobody hears their own voice"
        await eventually(lambda: likeness(audio(media, "4:+14255550100"), CALLER_SAYS) > 0.99, every_s=0.2)
        await eventually(lambda: likeness(audio(media, BOB), BOB_SAYS) > 0.99, every_s=0.2)
        assert likeness(audio(media, BOB), CALLER_SAYS) < 0.3
        said = await stage.timeline(call_id, "participant_says")
        assert [(row["participant"], row["text"]) for row in said] == [(BOB, BOB_SAYS)]


@pytest.mark.parametrize(("form", "raw_id"), [("absent", None), ("loudest", BOB)])
async def test_mixed_audio_has_both_voices_in_one_frame(form: str, raw_id: str | None) -> None:
    async with acs_stage(noise_dbfs=None) as stage:
        await stage.forms(mixed_id=form)
        call_id, _ = await joined(stage, mixed=True, steps=[{"say": BOB_SAYS}])
        media = await stage.media.connection()
        await stage.noted(call_id, "participant_ends", within_s=15)
        if raw_id is None:
            await eventually(lambda: likeness(audio(media, None), BOB_SAYS) > 0.95)
        else:  # Frames between the words can count as the caller's.
            await eventually(lambda: len(audio(media, raw_id)) > len(speech(BOB_SAYS)) / 2)
        bodies = [message["audioData"] for message in media.of_kind("AudioData")]
        named = ["participantRawID" in body for body in bodies if isinstance(body, dict)]
        assert named == [form != "absent"] * len(bodies)


async def test_a_muted_or_held_person_is_not_heard(stage: Stage) -> None:
    call_id, connection = await joined(stage)
    await connection.mute_participant(COLLEAGUE)
    await stage.lab.post(f"/lab/calls/{call_id}/parties/{BOB}/say", json={"text": BOB_SAYS})
    await stage.noted(call_id, "participant_ends", within_s=15)
    caller = await stage.recording(call_id)
    assert likeness(caller.agent.astype("<i2").tobytes(), BOB_SAYS) < 0.3
    assert likeness(audio(await stage.media.connection(), BOB), BOB_SAYS) < 0.3
    bob = await stage.recording(call_id, BOB)
    assert find_speech(bob.caller, RATE_HZ, speech(BOB_SAYS)).likeness > 0.95


async def test_a_voicemail_joins_and_speaks_its_announcement(stage: Stage) -> None:
    call_id, _ = await joined(stage, outcome="voicemail")
    [row] = await stage.noted(call_id, "participant_says")
    assert "leave a message" in str(row["text"])


async def test_a_person_hangs_up_early_and_the_call_goes_on(stage: Stage) -> None:
    call_id, connection = await joined(stage, hangs_up_after_s=0.2)
    [row] = await stage.noted(call_id, "left")
    assert (row["participant"], row["reason"]) == (BOB, "party_hung_up")
    await eventually(lambda: len(stage.reception.events("ParticipantsUpdated")) == 3)
    ids = [one.identifier.raw_id async for one in connection.list_participants() if one.identifier is not None]
    assert BOB not in ids
    assert len(ids) == 2
    assert (await stage.call(call_id))["state"] == "connected"


async def test_keys_of_the_person_are_reported_for_the_person_only(stage: Stage) -> None:
    call_id, connection = await joined(stage)
    await connection.start_continuous_dtmf_recognition(COLLEAGUE, operation_context="bob")
    await stage.lab.post(f"/lab/calls/{call_id}/dtmf", json={"tones": "7"})
    await stage.noted(call_id, "dtmf")
    await stage.lab.post(f"/lab/calls/{call_id}/parties/{BOB}/dtmf", json={"tones": "1"})
    tone = data(await stage.reception.event("ContinuousDtmfRecognitionToneReceived"))
    assert (tone["tone"], tone["operationContext"]) == ("one", "bob")
    assert [row["by"] for row in await stage.noted(call_id, "dtmf", count=2)] == ["caller", BOB]
    assert len(stage.reception.events("ContinuousDtmfRecognitionToneReceived")) == 1


@pytest.mark.parametrize(("form", "named"), [("absent", {}), ("present", {"participantRawID": BOB})])
async def test_keys_of_everyone_are_on_the_media_socket(stage: Stage, form: str, named: dict[str, str]) -> None:
    await stage.forms(dtmf_id=form)
    call_id, _ = await joined(stage)
    await stage.lab.post(f"/lab/calls/{call_id}/parties/{BOB}/dtmf", json={"tones": "1"})
    media = await stage.media.connection()
    await eventually(lambda: media.of_kind("DtmfData"))
    assert media.of_kind("DtmfData")[0]["dtmfData"] == {"data": "1"} | named


async def test_the_caller_leaves_and_the_person_stays_with_the_application(stage: Stage) -> None:
    call_id, connection = await joined(stage)
    await stage.lab.post(f"/lab/calls/{call_id}/hangup")
    await stage.noted(call_id, "left")
    assert (await connection.get_call_properties()).call_connection_state == "connected"
    again = await stage.lab.post(f"/lab/calls/{call_id}/hangup")
    assert again.json() == {"error": "the caller has left the call"}
    await stage.lab.post(f"/lab/calls/{call_id}/parties/{BOB}/hangup", json={"subCode": 560000})
    assert result_codes(await stage.reception.event("CallDisconnected")) == (200, 560000)
    assert (await stage.call(call_id))["end_reason"] == "party_hung_up"


async def test_the_call_can_end_with_the_caller(stage: Stage) -> None:
    await stage.forms(caller_leaves="ends_call")
    call_id, _ = await joined(stage)
    await stage.lab.post(f"/lab/calls/{call_id}/hangup")
    assert result_codes(await stage.reception.event("CallDisconnected")) == (200, 560000)


async def test_the_media_socket_can_be_replaced_when_a_third_party_joins(stage: Stage) -> None:
    await stage.forms(join_media="redial")
    await joined(stage)
    first, second = await stage.media.connection(), await stage.media.connection(2)
    await eventually(lambda: first.socket.close_code == 1000)
    await eventually(lambda: audio(second, BOB))
    assert second.messages[0][1]["kind"] == "AudioMetadata"


async def test_the_frames_can_pause_when_a_third_party_joins(stage: Stage) -> None:
    await stage.forms(join_media="gap")
    await joined(stage)
    media = await stage.media.connection()
    await eventually(lambda: audio(media, BOB))
    times = [t for t, message in media.messages if message["kind"] == "AudioData"]
    assert max(np.diff(times)) > 0.8


async def test_added_people_leave_no_recording_in_other_calls(stage: Stage) -> None:
    call_id, _ = await joined(stage)
    assert (await stage.lab.get(f"/lab/calls/{call_id}/parties/4:+19/recording.wav")).status_code == 404
    assert (await stage.call(call_id))["phones"] == ["4:+14255550100", BOB]
