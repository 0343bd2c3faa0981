"""Helpers for tests of the simulated Voice Live: sound, a dialogue without a socket, a WebSocket client."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import websockets

from lab.scenario import Agent
from lab.voice_live.answering import Answering
from lab.voice_live.client_events import decode_client_event
from lab.voice_live.conversation_items import ConversationItems
from lab.voice_live.dialogue import Dialogue
from lab.voice_live.handshake import AgentMode, Mode, ModelMode, VoiceAgentMode
from lab.voice_live.record import SessionRecord
from lab.voice_live.server_events import Event
from lab.voice_live.session_config import initial_session
from lab.voice_live.settings import DEFAULT_API_KEY

NEWEST = "2026-07-15"
CASCADED = ModelMode("gpt-4o", NEWEST)
NATIVE = ModelMode("gpt-realtime", NEWEST)
OPENAI = ModelMode("my-deployment", "2024-10-01-preview", openai=True)
GA = ModelMode("gpt-realtime", "v1", openai=True, ga=True)
AGENT = AgentMode("clerk", "shop", NEWEST)
VOICE_AGENT = VoiceAgentMode("clerk", "shop", "v1")


def tone(ms: int, rate_hz: int = 24_000, level: int = 6000) -> bytes:
    """Return a tone well above the threshold of the voice activity detector."""
    samples = np.sin(np.arange(ms * rate_hz // 1000) * 2 * math.pi * 300 / rate_hz) * level
    return samples.astype("<i2").tobytes()


def silence(ms: int, rate_hz: int = 24_000) -> bytes:
    return bytes(ms * rate_hz // 1000 * 2)


def b64(pcm: bytes) -> str:
    return base64.b64encode(pcm).decode()


def kinds(events: list[Event]) -> list[str]:
    return [str(one["type"]) for one in events]


def part(event: Mapping[str, object], *path: str) -> object:
    """Return a nested value of an event."""
    value: object = event
    for key in path:
        assert isinstance(value, Mapping), f"{path}: nothing below {key!r} in {event}"
        value = value[key]
    return value


def staged(mode: Mode = CASCADED, agent: Agent | None = None, *, opened: bool = True) -> Dialogue:
    """Create a session without a socket. `opened`: it has sent its first events."""
    conversation = ConversationItems("conv_1", (mode.name, mode.project) if isinstance(mode, AgentMode) else None)
    record = SessionRecord("sess_1", mode, "script", conversation)
    record.session = initial_session("sess_1", mode, 1_795_400_000)
    dialogue = Dialogue(record, Answering(record, agent or Agent()))
    if opened:
        dialogue.open(0.0)
    return dialogue


def tell(dialogue: Dialogue, now: float = 0.0, **event: object) -> list[Event]:
    """Send one client event to the dialogue and return the server events. Raises `RefusedError`."""
    return dialogue.receive(decode_client_event(json.dumps(event)), now)


def hear(dialogue: Dialogue, pcm: bytes, now: float = 0.0) -> list[Event]:
    return tell(dialogue, now, type="input_audio_buffer.append", audio=b64(pcm))


@dataclass
class RawClient:
    """A minimal WebSocket client. `seen`: received events in order."""

    socket: websockets.ClientConnection
    seen: list[Event] = field(default_factory=list)

    async def tell(self, **event: object) -> None:
        await self.socket.send(json.dumps(event))

    async def next(self) -> Event:
        async with asyncio.timeout(10):
            event: Event = json.loads(await self.socket.recv())
        self.seen.append(event)
        return event

    async def until(self, kind: str) -> Event:
        """Wait for the next event of this type and return it."""
        while True:
            event = await self.next()
            if event["type"] == kind:
                return event

    async def hear(self, pcm: bytes) -> None:
        await self.tell(type="input_audio_buffer.append", audio=b64(pcm))


@asynccontextmanager
async def raw_client(
    address: str,
    query: str = f"api-version={NEWEST}&model=gpt-4o",
    headers: Mapping[str, str] | None = None,
    path: str = "/voice-live/realtime",
) -> AsyncIterator[RawClient]:
    """Connect to the simulator, with its API key unless `headers` are given."""
    given = {"api-key": DEFAULT_API_KEY} if headers is None else dict(headers)
    url = f"ws://{address}{path}?{query}"
    async with websockets.connect(url, additional_headers=given, max_size=2**24, proxy=None) as socket:
        yield RawClient(socket)
