"""The unmodified Python SDK plays prompts (Play operation)."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from azure.communication.callautomation import FileSource, PhoneNumberIdentifier, TextSource
from azure.communication.callautomation.aio import CallConnectionClient
from azure.core.exceptions import HttpResponseError

from lab.acs.play_operation import PlayError, decode_prompt
from tests.contract.support.acs_stage import Stage, data, result_codes

COLLEAGUE = PhoneNumberIdentifier("+14255550177")


def wav(duration_s: float, rate_hz: int = 16_000, channels: int = 1) -> bytes:
    tone = np.full(int(duration_s * rate_hz) * channels, 8000, dtype="<i2")
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(tone.tobytes())
    return out.getvalue()


async def test_a_file_is_played_to_the_caller(stage: Stage) -> None:
    stage.reception.prompt = wav(0.3)
    call_id, connection = await stage.connected()
    await connection.play_media(FileSource(url=stage.url_of("/prompt.wav")), operation_context="pl")
    completed = data(await stage.reception.event("PlayCompleted"))
    assert completed["operationContext"] == "pl"
    assert [name for name in stage.reception.order() if name.startswith("Play")] == ["PlayStarted", "PlayCompleted"]
    await stage.noted(call_id, "agent_starts")


async def test_a_text_is_spoken_and_can_be_cancelled(stage: Stage) -> None:
    call_id, connection = await stage.connected()
    await connection.play_media(TextSource(text="one two three four five six seven eight nine", voice_name="any"))
    await stage.noted(call_id, "agent_starts")
    await connection.cancel_all_media_operations()
    canceled = data(await stage.reception.event("PlayCanceled"))
    assert isinstance(canceled["resultInformation"], dict)
    assert canceled["resultInformation"]["subCode"] == 8508


async def in_group(stage: Stage, **forms: object) -> tuple[str, CallConnectionClient]:
    await stage.forms(**forms)
    await stage.people(p177={"after_s": 0.0})
    call_id, connection = await stage.connected()
    await connection.add_participant(COLLEAGUE, source_caller_id_number=PhoneNumberIdentifier("+18005551212"))
    await stage.reception.event("AddParticipantSucceeded")
    return call_id, connection


@pytest.mark.parametrize(("form", "caller_hears"), [("named", False), ("everyone", True)])
async def test_a_prompt_for_one_person_is_heard_by_that_person_only(
    stage: Stage, form: str, caller_hears: bool
) -> None:
    call_id, connection = await in_group(stage, play_to=form)
    await connection.play_media(TextSource(text="A caller with a refund.", voice_name="any"), play_to=[COLLEAGUE])
    await stage.reception.event("PlayCompleted")
    [row] = await stage.noted(call_id, "participant_hears_agent")
    assert row["participant"] == "4:+14255550177"
    assert bool(await stage.timeline(call_id, "agent_starts")) == caller_hears


async def test_two_prompts_for_named_people_clash_and_one_for_all_does_not(stage: Stage) -> None:
    _, connection = await in_group(stage)
    long = TextSource(text="one two three four five six seven eight nine", voice_name="any")
    await connection.play_media(long, play_to=[COLLEAGUE])
    with pytest.raises(HttpResponseError) as refused:
        await connection.play_media(long, play_to=[COLLEAGUE])
    assert refused.value.status_code == 412
    assert refused.value.error is not None
    assert refused.value.error.code == "8583"
    await stage.reception.event("PlayStarted")
    await connection.play_media(TextSource(text="Hello.", voice_name="any"), interrupt_call_media_operation=True)
    assert result_codes(await stage.reception.event("PlayCanceled")) == (400, 8508)
    await stage.reception.event("PlayCompleted")


@pytest.mark.parametrize(("prompt", "sub_code"), [(b"no wav", 8535), (b"", 8535), (None, 8536)])
async def test_audio_that_cannot_be_played_is_reported(stage: Stage, prompt: bytes | None, sub_code: int) -> None:
    stage.reception.prompt = prompt or b""
    _, connection = await stage.connected()
    await connection.play_media(FileSource(url=stage.url_of("/nothing" if prompt is None else "/prompt.wav")))
    failed = data(await stage.reception.event("PlayFailed"))
    assert isinstance(failed["resultInformation"], dict)
    assert failed["resultInformation"]["subCode"] == sub_code
    assert failed["failedPlaySourceIndex"] == 0


async def test_a_source_without_a_usable_address_is_refused(stage: Stage) -> None:
    _, connection = await stage.connected()
    with pytest.raises(HttpResponseError):
        await connection.play_media(FileSource(url="file:///etc/passwd"))


def test_only_mono_16_bit_16_khz_is_playable() -> None:
    assert len(decode_prompt(wav(0.1), 24_000)) == 2400 * 2
    for wrong in (wav(0.1, rate_hz=8000), wav(0.1, channels=2), b"RIFF"):
        with pytest.raises(PlayError) as refused:
            decode_prompt(wrong, 16_000)
        assert refused.value.sub_code == 8535
