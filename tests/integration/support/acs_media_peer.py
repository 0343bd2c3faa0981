"""ACS as a media gateway sees it: a WebSocket client that sends frames and receives audio and StopAudio."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

CALLER = "4:+14255550100"


class AcsMediaPeer:
    """One media socket. `heard` contains the received messages: PCM, or None for a StopAudio."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[bytes | None] = []
        self.heard_at: list[float] = []
        """Arrival times of the messages in `heard`, in monotonic seconds."""
        self.closed_at = 0.0
        self.close_code: int | None = None
        self.close_reason = ""
        self._listening = asyncio.create_task(self._listen())

    @property
    def pcm(self) -> bytes:
        return b"".join(piece for piece in self.heard if piece is not None)

    async def metadata(self, rate_hz: int = 16_000, **changes: object) -> None:
        body = {"subscriptionId": "s", "encoding": "PCM", "sampleRate": rate_hz, "channels": 1, "length": 640}
        await self._send({"kind": "AudioMetadata", "audioMetadata": {**body, **changes}})

    async def frame(self, pcm: bytes, *, silent: bool = False, participant: str | None = CALLER) -> None:
        body: dict[str, object] = {"timestamp": "2026-11-22T05:00:02.925Z"}
        if participant is not None:
            body["participantRawID"] = participant
        body |= {"data": base64.b64encode(pcm).decode(), "silent": silent}
        await self._send({"kind": "AudioData", "audioData": body})

    async def silent_frame(self) -> None:
        await self._send({"kind": "AudioData", "audioData": {"timestamp": "t", "silent": True}})

    async def tone(self, tone: str, *, participant: str | None = None) -> None:
        named = {} if participant is None else {"participantRawID": participant}
        await self._send({"kind": "DtmfData", "dtmfData": {"data": tone, **named}})

    async def closed(self, within_s: float = 5.0) -> int | None:
        """Return the code with which the gateway closed the socket."""
        async with asyncio.timeout(within_s):
            await self._listening
        return self.close_code

    async def drop(self) -> None:
        """Abort the connection without a close frame."""
        self.socket.transport.abort()
        await self._listening

    async def aclose(self) -> None:
        await self.socket.close()
        await self._listening

    async def _send(self, message: dict[str, object]) -> None:
        await self.socket.send(json.dumps(message, separators=(",", ":")))

    async def _listen(self) -> None:
        try:
            async for text in self.socket:
                message = json.loads(text)
                self.heard_at.append(time.monotonic())
                if message["Kind"] == "StopAudio":
                    self.heard.append(None)
                else:
                    self.heard.append(base64.b64decode(message["AudioData"]["Data"]))
        except ConnectionClosed:
            pass
        self.closed_at = time.monotonic()
        self.close_code, self.close_reason = self.socket.close_code, self.socket.close_reason or ""


@asynccontextmanager
async def dial(url: str, authorization: str | None = None) -> AsyncIterator[AcsMediaPeer]:
    headers = {"x-ms-call-connection-id": "leg-1", "x-ms-call-correlation-id": "corr-1"}
    if authorization:
        headers["Authorization"] = authorization
    socket = await connect(url, additional_headers=headers, proxy=None, compression=None, close_timeout=1)
    peer = AcsMediaPeer(socket)
    try:
        yield peer
    finally:
        await peer.aclose()
