"""The simulated ACS on a real port, with test doubles for the services."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx
import uvicorn
from azure.communication.callautomation import (
    AudioFormat,
    MediaStreamingAudioChannelType,
    MediaStreamingContentType,
    MediaStreamingOptions,
    StreamingTransportType,
)
from azure.communication.callautomation.aio import CallAutomationClient, CallConnectionClient
from azure.core.credentials import AzureKeyCredential
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse
from starlette.responses import Response as HttpResponse
from starlette.routing import Route
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from lab.acs.app import create_app
from lab.acs.settings import LAB_ACCESS_KEY, AcsSettings
from lab.heard_audio import Recording, read_recording
from tests.support.eventually import eventually
from tests.support.lab_server import running

Json = dict[str, object]
ISSUER = "http://acs.lab"


@dataclass
class Received:
    """One request from ACS or Event Grid."""

    t: float
    path: str
    headers: dict[str, str]
    events: list[Json]


def data(event: Json) -> Json:
    body = event["data"]
    assert isinstance(body, dict)
    return body


def result_codes(event: Json) -> tuple[object, object]:
    """Return code and sub code of `resultInformation`."""
    info = data(event)["resultInformation"]
    assert isinstance(info, dict)
    return info["code"], info["subCode"]


def types(events: list[Json]) -> list[str]:
    return [str(event["type"]).rpartition(".")[2] for event in events]


class Reception:
    """Test double for call-control. It receives Event Grid's events and ACS's callbacks."""

    def __init__(self) -> None:
        self.handshakes: list[Received] = []
        self.incoming: list[Received] = []
        self.callbacks: list[Received] = []
        self.validates = True
        self.webhook_statuses: list[int] = []
        """Status codes of the next responses; later responses have 200."""
        self.callback_statuses: list[int] = []
        self.app = Starlette(
            routes=[
                Route("/api/incomingCall", self._webhook, methods=["POST", "OPTIONS"]),
                Route("/callbacks/{name}", self._callback, methods=["POST"]),
                Route("/prompt.wav", self._prompt),
            ]
        )
        self.prompt = b""

    def events(self, kind: str) -> list[Json]:
        """Return the callback events of one type, in the order of their arrival."""
        return [event for post in self.callbacks for event in post.events if types([event]) == [kind]]

    async def event(self, kind: str, within_s: float = 5.0) -> Json:
        return (await eventually(lambda: self.events(kind), within_s=within_s, what=kind))[0]

    def order(self) -> list[str]:
        return [name for post in self.callbacks for name in types(post.events)]

    async def _webhook(self, request: HttpRequest) -> HttpResponse:
        path = request.url.path + ("?" + request.url.query if request.url.query else "")
        if request.method == "OPTIONS":
            self.handshakes.append(Received(time.monotonic(), path, dict(request.headers), []))
            origin = "*" if self.validates else "somebody.else"
            return HttpResponse(headers={"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"})
        received = Received(time.monotonic(), path, dict(request.headers), await request.json())
        if request.headers["aeg-event-type"] == "SubscriptionValidation":
            self.handshakes.append(received)
            code = data(received.events[0])["validationCode"]
            return JSONResponse({"validationResponse": code if self.validates else "wrong"})
        self.incoming.append(received)
        return HttpResponse(status_code=self.webhook_statuses.pop(0) if self.webhook_statuses else 200)

    async def _callback(self, request: HttpRequest) -> HttpResponse:
        path = request.url.path + ("?" + request.url.query if request.url.query else "")
        self.callbacks.append(Received(time.monotonic(), path, dict(request.headers), await request.json()))
        return HttpResponse(status_code=self.callback_statuses.pop(0) if self.callback_statuses else 200)

    async def _prompt(self, _: HttpRequest) -> HttpResponse:
        return HttpResponse(self.prompt, media_type="audio/wav")


@dataclass
class MediaConnection:
    """One media socket, on the side of the server."""

    socket: ServerConnection
    path: str
    headers: dict[str, str]
    messages: list[tuple[float, Json]] = field(default_factory=list)
    binary: int = 0
    not_json: int = 0

    def of_kind(self, kind: str) -> list[Json]:
        return [message for _, message in self.messages if message.get("kind") == kind]

    async def say(self, pcm: bytes, block_bytes: int = 8000) -> None:
        """Send agent audio faster than real time, as a model does."""
        for start in range(0, len(pcm), block_bytes):
            block = base64.b64encode(pcm[start : start + block_bytes]).decode()
            await self.send({"Kind": "AudioData", "AudioData": {"Data": block}, "StopAudio": None})

    async def stop_audio(self) -> None:
        await self.send({"Kind": "StopAudio", "AudioData": None, "StopAudio": {}})

    async def send(self, message: Json) -> None:
        await self.socket.send(json.dumps(message))


class MediaServer:
    """Test double for the media gateway."""

    def __init__(self) -> None:
        self.connections: list[MediaConnection] = []
        self.refuse_status: int | None = None
        self.accept_delay_s = 0.0
        self.url = ""

    async def connection(self, number: int = 1) -> MediaConnection:
        await eventually(lambda: len(self.connections) >= number, what=f"media connection {number}")
        return self.connections[number - 1]

    async def process_request(self, socket: ServerConnection, request: Request) -> Response | None:
        await asyncio.sleep(self.accept_delay_s)
        if self.refuse_status is not None:
            return socket.respond(HTTPStatus(self.refuse_status), "refused\n")
        return None

    async def accept(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        headers = {name.lower(): value for name, value in socket.request.headers.raw_items()}
        connection = MediaConnection(socket, socket.request.path, headers)
        self.connections.append(connection)
        try:
            async for message in socket:
                if isinstance(message, bytes):
                    connection.binary += 1
                    continue
                try:
                    connection.messages.append((time.monotonic(), json.loads(message)))
                except ValueError:
                    connection.not_json += 1
        except ConnectionClosed:
            return


class Stage:
    def __init__(self, url: str, webhook_base: str, lab: httpx.AsyncClient, reception: Reception, media: MediaServer):
        self.url = url
        self.lab = lab
        self.reception = reception
        self.media = media
        self.callback_url = f"{webhook_base}/callbacks/one?token=se%2Fcret"
        self._webhook_base = webhook_base
        self._clients: list[CallAutomationClient] = []

    def url_of(self, path: str) -> str:
        return self._webhook_base + path

    def client(self, key: str = LAB_ACCESS_KEY, retries: int = 2) -> CallAutomationClient:
        """Return the client of the unmodified SDK; it is closed with the stage."""
        client = CallAutomationClient(
            self.url,
            AzureKeyCredential(key),
            connection_timeout=2,
            read_timeout=5,
            retry_total=retries,
            retry_backoff_factor=0.01,
        )
        self._clients.append(client)
        return client

    def streaming(
        self,
        *,
        start: bool = True,
        bidirectional: bool = True,
        audio_format: AudioFormat = AudioFormat.PCM16_K_MONO,
        channel: MediaStreamingAudioChannelType = MediaStreamingAudioChannelType.UNMIXED,
        dtmf: bool = True,
        url: str = "",
    ) -> MediaStreamingOptions:
        return MediaStreamingOptions(
            transport_url=url or self.media.url + "/ws/call/token?k=v",
            transport_type=StreamingTransportType.WEBSOCKET,
            content_type=MediaStreamingContentType.AUDIO,
            audio_channel_type=channel,
            start_media_streaming=start,
            enable_bidirectional=bidirectional,
            audio_format=audio_format,
            enable_dtmf_tones=dtmf,
        )

    async def place(self, **call: object) -> str:
        """Place a phone call to the application. Return its id in the simulator when the webhook has received the
        event.
        """
        response = await self.lab.post("/lab/calls", json={"from": "+14255550100", "to": "+18005551212"} | call)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def context(self, number: int = -1) -> str:
        """Return the incoming-call context of the last event, or of the event at index `number`."""
        return str(data(self.reception.incoming[number].events[0])["incomingCallContext"])

    async def call(self, call_id: str) -> Json:
        response = await self.lab.get(f"/lab/calls/{call_id}")
        assert response.status_code == 200
        answer: Json = response.json()
        return answer

    async def invitations(self, call_id: str) -> list[dict[str, Any]]:
        """Return the adds and transfers of a call, in the order of the requests."""
        invitations = (await self.call(call_id))["invitations"]
        assert isinstance(invitations, list)
        return invitations

    async def timeline(self, call_id: str, event: str = "") -> list[Json]:
        """Return the timeline of a call, or its events with one name."""
        entries = (await self.call(call_id))["timeline"]
        assert isinstance(entries, list)
        return [entry for entry in entries if not event or entry["event"] == event]

    async def noted(self, call_id: str, event: str, count: int = 1, within_s: float = 5.0) -> list[Json]:
        async def enough() -> list[Json]:
            entries = await self.timeline(call_id, event)
            return entries if len(entries) >= count else []

        return await eventually(enough, within_s=within_s, every_s=0.02, what=f"{count} {event} on the timeline")

    async def state(self, call_id: str, state: str, within_s: float = 5.0) -> Json:
        async def reached() -> Json:
            call = await self.call(call_id)
            return call if call["state"] == state else {}

        return await eventually(reached, within_s=within_s, every_s=0.02, what=f"state {state}")

    async def connected(self, **call: object) -> tuple[str, CallConnectionClient]:
        """Place a call and return it when it is answered with media streaming and connected. A call with steps may
        already have ended.
        """
        call_id = await self.place(**call)
        client = self.client()
        answer = await client.answer_call(self.context(), self.callback_url, media_streaming=self.streaming())
        await self.noted(call_id, "call_connected")
        assert answer.call_connection_id is not None
        return call_id, client.get_call_connection(answer.call_connection_id)

    async def people(self, **scripts: object) -> None:
        """Set the scripts of people by the end of their number, such as `p177` for +14255550177."""
        named = {f"+14255550{name[1:]}": script for name, script in scripts.items()}
        response = await self.lab.put("/lab/people", json=named)
        assert response.status_code == 200, response.text

    async def forms(self, **forms: object) -> None:
        await self.faults({"forms": forms})

    async def recording(self, call_id: str, party: str = "") -> Recording:
        """Return the recording of the caller's phone, or of another party's."""
        path = f"/parties/{party}" if party else ""
        response = await self.lab.get(f"/lab/calls/{call_id}{path}/recording.wav")
        assert response.status_code == 200, response.text
        return read_recording(response.content)

    async def faults(self, plan: Json) -> None:
        response = await self.lab.put("/lab/faults", json=plan)
        assert response.status_code == 200, response.text

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


def settings_for(webhook: str, **changes: object) -> AcsSettings:
    """Return the default settings with short delays."""
    values: dict[str, object] = {
        "port": 0,
        "acs_issuer": ISSUER,
        "webhook_url": webhook,
        "webhook_wait_s": 2.0,
        "media_open_delay_s": 0.02,
        "media_connect_timeout_s": 10.0,
        "media_started_delay_s": 0.02,
        "media_redial_spacing_s": 0.05,
        "callback_retry_s": 0.02,
        "event_grid_retry_s": 0.1,
    }
    return AcsSettings(**(values | changes))  # type: ignore[arg-type]  # a test names the fields it changes


@asynccontextmanager
async def acs_stage(**changes: object) -> AsyncIterator[Stage]:
    reception, media = Reception(), MediaServer()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            serve(media.accept, "127.0.0.1", 0, process_request=media.process_request, compression=None)
        )
        media.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        webhook = "http://" + await stack.enter_async_context(running(_config(reception.app)))
        settings = settings_for(webhook + "/api/incomingCall", **changes)
        url = "http://" + await stack.enter_async_context(running(_config(create_app(settings))))
        lab = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=10))
        stage = Stage(url, webhook, lab, reception, media)
        stack.push_async_callback(stage.close)
        yield stage


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=1
    )
