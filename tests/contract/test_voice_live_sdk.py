"""The unmodified Python SDK `azure-ai-voicelive` uses the simulated Voice Live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from azure.ai.voicelive.aio import ConnectionClosed, VoiceLiveConnection, connect
from azure.ai.voicelive.aio import ConnectionError as RefusedConnection
from azure.ai.voicelive.models import FunctionCallOutputItem
from azure.core.credentials import AzureKeyCredential
from azure.identity.aio import ManagedIdentityCredential

import lab.identity
from lab.identity import DEFAULT_HEADER, IdentitySettings
from lab.speech import ms_of, synthesize
from lab.voice_live.app import server_config
from lab.voice_live.settings import DEFAULT_API_KEY, VoiceLiveSettings
from tests.support.lab_server import running
from tests.support.voice_live_stage import b64, silence

SETTINGS = VoiceLiveSettings(port=0, reply_delay_s=0.05, session_setup_s=0.0, speed=20.0)
GREETING = "Welcome to the parcel service."
AGENT = {
    "greeting": GREETING,
    "replies": [
        {"heard": "Where is my parcel?", "call": {"name": "find", "arguments": {"id": 7}}, "say": "It is in Leipzig."},
        {"heard": "Stop.", "say": "I have stopped."},
    ],
}


@asynccontextmanager
async def voice_live() -> AsyncIterator[str]:
    async with running(server_config(SETTINGS)) as address, httpx.AsyncClient() as client:
        (await client.put(f"http://{address}/lab/agent", json=AGENT)).raise_for_status()
        yield address


async def until(connection: VoiceLiveConnection, kind: str) -> list[Any]:
    """Receive and return the events up to and including the first one of this type. The SDK selects the class by
    `type`, which mypy cannot follow.
    """
    seen: list[Any] = []
    async with asyncio.timeout(10):
        async for event in connection:
            seen.append(event)
            if event.type == kind:
                return seen
    raise AssertionError(f"closed before {kind}; received: {[event.type for event in seen]}")


async def say(connection: VoiceLiveConnection, text: str) -> None:
    pcm = synthesize(text, 24_000) + silence(700)
    for at in range(0, len(pcm), 2400):
        await connection.input_audio_buffer.append(audio=b64(pcm[at : at + 2400]))


def first(events: list[Any], kind: str) -> Any:
    return next(event for event in events if event.type == kind)


def audio_of(events: list[Any]) -> bytes:
    return b"".join(event.delta for event in events if event.type == "response.audio.delta")


async def greeted(connection: VoiceLiveConnection) -> list[Any]:
    """Configure a phone session and wait for its greeting. Return the events of the greeting."""
    assert (await connection.recv()).type == "session.created"
    detection = {"type": "azure_semantic_vad", "interrupt_response": True, "create_response": True}
    await connection.session.update(session={"turn_detection": detection, "modalities": ["text", "audio"]})
    updated = (await until(connection, "session.updated"))[-1]
    assert updated.session.turn_detection.type == "azure_semantic_vad"
    message = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": GREETING}]}
    await connection.send({"type": "response.create", "response": {"pre_generated_assistant_message": message}})
    return await until(connection, "response.done")


async def test_greeting_turn_function_call_and_barge_in() -> None:
    async with (
        voice_live() as address,
        connect(endpoint=f"http://{address}", credential=AzureKeyCredential(DEFAULT_API_KEY), model="gpt-4o") as phone,
    ):
        greeting = await greeted(phone)
        assert ms_of(audio_of(greeting), 24_000) == ms_of(synthesize(GREETING, 24_000), 24_000)
        assert (
            next(event for event in greeting if event.type == "response.audio_transcript.done").transcript == GREETING
        )

        await say(phone, "Where is my parcel?")
        turn = await until(phone, "response.done")
        heard = first(turn, "conversation.item.input_audio_transcription.completed")
        assert heard.transcript == "Where is my parcel?"
        call = first(turn, "response.function_call_arguments.done")
        assert (call.name, call.arguments) == ("find", '{"id":7}')
        output = FunctionCallOutputItem(call_id=call.call_id, output='{"city": "Leipzig"}')
        await phone.conversation.item.create(item=output)
        await phone.response.create()
        await until(phone, "response.audio.delta")

        await say(phone, "Stop.")
        interrupted = await until(phone, "response.done")
        assert "input_audio_buffer.speech_started" in [event.type for event in interrupted]
        details = interrupted[-1].response
        assert (details.status, details.status_details.reason) == ("cancelled", "turn_detected")
        item_id = details.output[0].id
        await phone.conversation.item.truncate(item_id=item_id, content_index=0, audio_end_ms=200)
        truncated = (await until(phone, "conversation.item.truncated"))[-1]
        assert (truncated.item_id, truncated.audio_end_ms) == (item_id, 200)
        answer = await until(phone, "response.done")
        assert answer[-1].response.status == "completed"
        said = first(answer, "response.audio_transcript.done")
        assert said.transcript == "I have stopped."


@asynccontextmanager
async def managed_identity(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ManagedIdentityCredential]:
    config = uvicorn.Config(lab.identity.create_app(IdentitySettings()), port=0, log_level="warning")
    async with running(config) as address:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://{address}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", DEFAULT_HEADER)
        async with ManagedIdentityCredential(client_id="app-7") as credential:
            yield credential


async def test_an_agent_by_managed_identity_is_greeted_and_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with voice_live() as address, managed_identity(monkeypatch) as credential:
        url = f"http://{address}"
        async with connect(credential=credential, endpoint=url, agent_name="clerk", project_name="my project") as phone:
            await greeted(phone)
            await say(phone, "Where is my parcel?")
            await until(phone, "response.done")
        async with httpx.AsyncClient() as client:
            session = (await client.get(f"http://{address}/lab/sessions")).json()["sessions"][0]
        assert (session["agent"], session["project"], session["mode"]) == ("clerk", "my project", "agent")
        thread = session["conversation_id"]
        async with connect(
            credential=credential,
            endpoint=url,
            agent_name="clerk",
            project_name="my project",
            conversation_id=thread,
        ) as phone:
            assert (await until(phone, "session.created"))[-1].session.model == "clerk"
            await phone.session.update(session={"turn_detection": {"type": "azure_semantic_vad"}})
            updated = (await until(phone, "session.updated"))[-1]
            assert updated.session.agent.thread_id == thread
            await say(phone, "Stop.")
            answer = await until(phone, "response.done")
            assert (
                next(one for one in answer if one.type == "response.audio_transcript.done").transcript
                == "I have stopped."
            )


async def test_the_wrong_audience_connects_and_then_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async with voice_live() as address, managed_identity(monkeypatch) as credential:
        scopes = ["https://cognitiveservices.azure.com/.default"]
        async with connect(
            credential=credential,
            credential_scopes=scopes,
            endpoint=f"http://{address}",
            agent_name="clerk",
            project_name="p",
        ) as phone:
            error = (await until(phone, "error"))[-1]
            assert error.error.message == "Authentication error to AI Agent service: Unauthorized"
            with pytest.raises(ConnectionClosed):
                await phone.recv()


async def test_a_wrong_key_fails_the_handshake() -> None:
    async with voice_live() as address:
        phone = connect(endpoint=f"http://{address}", credential=AzureKeyCredential("wrong"), model="gpt-4o")
        with pytest.raises(RefusedConnection, match="401"):
            await phone.__aenter__()
        await phone.__aexit__(None, None, None)
