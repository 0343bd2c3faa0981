"""The simplest complete bridge between ACS and Voice Live, in one process and one file: the reference of the benchmark.

Starlette on uvicorn, `websockets` toward Voice Live, json from the standard library, no compression. No Redis, no
resampling (it requests 24 kHz from ACS, the rate of Voice Live), no playout, no failover: each frame is forwarded when
it arrives, and its base64 is not decoded. `EVENT_LOOP=uvloop` makes it faster without changes to the code.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import urlsplit

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from lab.acs.signing import SCHEME, SIGNED_HEADERS, content_hash, sign

ANSWER = "/calling/callConnections:answer?api-version=2024-09-15"


@dataclass(frozen=True)
class Settings:
    base_url: str
    acs_endpoint: str
    acs_access_key: str
    voice_live_url: str
    voice_live_api_key: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        return cls(**{name: environ[name.upper()] for name in cls.__dataclass_fields__})


def signed_headers(settings: Settings, path_and_query: str, body: bytes) -> dict[str, str]:
    """Return the HMAC headers of a POST to ACS (ACS docs, "Sign an HTTP request")."""
    date, hashed = formatdate(usegmt=True), content_hash(body)
    host = urlsplit(settings.acs_endpoint).netloc
    signature = sign(settings.acs_access_key, "POST", path_and_query, date, host, hashed)
    return {
        "Content-Type": "application/json",
        "x-ms-date": date,
        "x-ms-content-sha256": hashed,
        "Authorization": f"{SCHEME}SignedHeaders={SIGNED_HEADERS}&Signature={signature}",
    }


async def answer(http: aiohttp.ClientSession, settings: Settings, incoming_call_context: str) -> None:
    call = {
        "incomingCallContext": incoming_call_context,
        "callbackUri": f"{settings.base_url}/callbacks",
        "mediaStreamingOptions": {
            "transportUrl": f"{settings.base_url.replace('http', 'ws', 1)}/ws",
            "transportType": "websocket",
            "contentType": "audio",
            "audioChannelType": "unmixed",
            "startMediaStreaming": True,
            "enableBidirectional": True,
            "audioFormat": "pcm24KMono",
        },
    }
    body = json.dumps(call).encode()
    headers = signed_headers(settings, ANSWER, body)
    async with http.post(settings.acs_endpoint + ANSWER, data=body, headers=headers) as reply:
        reply.raise_for_status()


async def caller_to_agent(media: WebSocket, voice: ClientConnection) -> None:
    while True:
        message = json.loads(await media.receive_text())
        if message["kind"] == "AudioData":
            await voice.send(json.dumps({"type": "input_audio_buffer.append", "audio": message["audioData"]["data"]}))


async def agent_to_caller(voice: ClientConnection, media: WebSocket) -> None:
    async for message in voice:
        event = json.loads(message)
        if event["type"] == "response.audio.delta":
            audio = {"Kind": "AudioData", "AudioData": {"Data": event["delta"]}, "StopAudio": None}
            await media.send_text(json.dumps(audio))
        elif event["type"] == "input_audio_buffer.speech_started":
            await media.send_text(json.dumps({"Kind": "StopAudio", "AudioData": None, "StopAudio": {}}))


async def carry(media: WebSocket, settings: Settings) -> None:
    """Forward the audio of one call until one of its sockets closes."""
    headers = {"api-key": settings.voice_live_api_key}
    async with connect(settings.voice_live_url, additional_headers=headers, compression=None, max_size=None) as voice:
        session = {
            "turn_detection": {"type": "azure_semantic_vad", "interrupt_response": True},
            "input_audio_sampling_rate": 24_000,
        }
        await voice.send(json.dumps({"type": "session.update", "session": session}))
        both = [asyncio.create_task(caller_to_agent(media, voice)), asyncio.create_task(agent_to_caller(voice, media))]
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)


def create_app(settings: Settings) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as app.state.http:
            yield

    async def incoming_call(request: Request) -> Response:
        for event in await request.json():
            if event["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent":
                return JSONResponse({"validationResponse": event["data"]["validationCode"]})
            if event["eventType"] == "Microsoft.Communication.IncomingCall":
                await answer(request.app.state.http, settings, event["data"]["incomingCallContext"])
        return Response()

    async def accept(_: Request) -> Response:
        return Response()

    async def media_socket(media: WebSocket) -> None:
        await media.accept()
        try:
            await carry(media, settings)
            await media.close()
        except (WebSocketDisconnect, ConnectionClosed):
            return

    routes = [
        Route("/api/incomingCall", incoming_call, methods=["POST"]),
        Route("/callbacks", accept, methods=["POST"]),
        Route("/healthz", accept),
        WebSocketRoute("/ws", media_socket),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def main() -> None:
    uvicorn.run(
        create_app(Settings.from_env(os.environ)),
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        loop=os.environ.get("EVENT_LOOP", "asyncio"),
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=65,
    )


if __name__ == "__main__":
    main()
