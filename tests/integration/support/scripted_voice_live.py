"""A Voice Live that follows a script: each step has an expected client event and the server events that it triggers.

There is one script per connection, in order. Unexpected client events and unused steps fail the test. Caller audio is
collected in `audio`; steps do not apply to it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeAlias

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.support.eventually import eventually

Event: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Step:
    expects: str
    """The type of the client event."""
    sends: Sequence[Event] = ()
    where: Callable[[Event], bool] = lambda _: True


@dataclass(frozen=True)
class Script:
    steps: Sequence[Step] = ()
    greets: Sequence[Event] = ()
    """Events that are sent when the socket opens."""
    refuses: int = 0
    """HTTP status that rejects the handshake; 0: accept it."""
    retry_after_s: int = 0
    answers_first_probe: bool = True
    """If true, the first request for an item that does not exist (a probe of a configured session) is answered without
    a step of the script.
    """


@dataclass
class Session:
    path: str
    headers: Mapping[str, str]
    script: Script
    sent: list[Event] = field(default_factory=list)
    audio: bytearray = field(default_factory=bytearray)
    surprises: list[str] = field(default_factory=list)
    used: int = 0
    probed: bool = False
    connection: ServerConnection | None = None

    async def push(self, *events: Event) -> None:
        """Send events without a client event."""
        assert self.connection is not None
        for event in events:
            await self.connection.send(json.dumps(event))

    def drop(self) -> None:
        """Abort the connection without a close frame."""
        assert self.connection is not None
        self.connection.transport.abort()

    async def close(self, code: int, reason: str = "") -> None:
        assert self.connection is not None
        await self.connection.close(code, reason)

    @property
    def frames(self) -> list[int]:
        """Return the numbers of the caller's frames, if they are numbered."""
        return [int.from_bytes(self.audio[at : at + 2], "little") for at in range(0, len(self.audio), 960)]

    def types(self) -> list[str]:
        return [event["type"] for event in self.sent]

    async def take(self, event: Event) -> None:
        if event["type"] == "input_audio_buffer.append":
            self.audio += base64.b64decode(event["audio"])
            return
        if event["type"] == "conversation.item.retrieve" and not self.probed:
            self.probed = True
            await self.push(*([probe_refused(event)] if self.script.answers_first_probe else []))
            return
        self.sent.append(event)
        step = self.script.steps[self.used] if self.used < len(self.script.steps) else None
        if step is None or step.expects != event["type"] or not step.where(event):
            self.surprises.append(f"{event} instead of {step.expects if step else 'nothing'}")
            return
        self.used += 1
        await self.push(*step.sends)


class ScriptedVoiceLive:
    def __init__(self, scripts: Sequence[Script], *, then_full: bool) -> None:
        self._scripts = list(scripts)
        self._then_full = then_full
        self.turned_away = 0
        self.sessions: list[Session] = []
        self.url = ""

    def check(self) -> None:
        for number, session in enumerate(self.sessions):
            assert not session.surprises, f"session {number}: {session.surprises}"
            unused = session.script.steps[session.used :]
            assert not unused, f"session {number} never received {[step.expects for step in unused]}"
        assert len(self.sessions) == len(self._scripts), f"{len(self.sessions)} of {len(self._scripts)} connections"

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        number = len(self.sessions)
        if self._then_full and number >= len(self._scripts):
            self.turned_away += 1
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "no script is left\n")
        script = self._scripts[number] if number < len(self._scripts) else Script(refuses=503)
        self.sessions.append(Session(request.path, request.headers, script))
        if script.refuses:
            response = connection.respond(HTTPStatus(script.refuses), "scripted refusal\n")
            if script.retry_after_s:
                response.headers["Retry-After"] = str(script.retry_after_s)
            return response
        connection.username = str(number)
        return None

    async def talk(self, connection: ServerConnection) -> None:
        session = self.sessions[int(connection.username)]
        session.connection = connection
        with contextlib.suppress(ConnectionClosed):
            await session.push(*session.script.greets)
            async for message in connection:
                await session.take(json.loads(message))


@contextlib.asynccontextmanager
async def scripted(
    *scripts: Script, tls: ssl.SSLContext | None = None, then_full: bool = False
) -> AsyncIterator[ScriptedVoiceLive]:
    """Serve the scripts. All of them must have been used when the context ends. `then_full`: further connections are
    rejected; otherwise they fail the test.
    """
    service = ScriptedVoiceLive(scripts, then_full=then_full)
    async with serve(service.talk, "127.0.0.1", 0, process_request=service.admit, max_size=2**24, ssl=tls) as server:
        host, port = server.sockets[0].getsockname()[:2]
        service.url = f"ws://{host}:{port}"
        yield service
    service.check()


# -- events -------------------------------------------------------------------------------------------------------
def created(session_id: str = "sess_1") -> Event:
    return {"type": "session.created", "session": {"id": session_id, "expires_at": 1795400000}}


def probe_refused(probe: Event) -> Event:
    error = {"type": "invalid_request_error", "code": "item_retrieve_invalid_item_id", "event_id": probe["event_id"]}
    return {"type": "error", "error": error}


def updated(session_id: str = "sess_1", conversation_id: str = "") -> Event:
    agent = {"agent": {"thread_id": conversation_id}} if conversation_id else {}
    return {"type": "session.updated", "session": {"id": session_id, **agent}}


def opened(*steps: Step, session_id: str = "sess_1", conversation_id: str = "") -> Script:
    """Return a script whose session is configured first, as every session is."""
    configured = Step("session.update", [updated(session_id, conversation_id)])
    return Script(greets=[created(session_id)], steps=[configured, *steps])


def reply(
    response: str, item: str, text: str, pcm: bytes, *, status: str = "completed", delta_bytes: int = 12_000
) -> list[Event]:
    """Return a whole spoken response, sent faster than real time."""
    ids = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
    deltas = [
        {
            "type": "response.audio.delta",
            **ids,
            "delta": base64.b64encode(pcm[at : at + delta_bytes]).decode(),
        }
        for at in range(0, len(pcm), delta_bytes)
    ]
    return [
        {"type": "response.created", "response": {"id": response}},
        {"type": "response.audio_transcript.delta", **ids, "delta": text},
        *deltas,
        {"type": "response.audio.done", **ids},
        {"type": "response.audio_transcript.done", **ids, "transcript": text},
        {"type": "response.done", "response": {"id": response, "status": status}},
    ]


def caller_said(item: str, text: str) -> list[Event]:
    return [
        {"type": "input_audio_buffer.speech_started", "item_id": item, "audio_start_ms": 0},
        {"type": "input_audio_buffer.speech_stopped", "item_id": item, "audio_end_ms": 900},
        {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": item,
            "content_index": 0,
            "transcript": text,
        },
    ]


async def until_open(service: ScriptedVoiceLive, number: int) -> Session:
    """Return the session of that connection, when its script's opening events were used."""
    await eventually(
        lambda: len(service.sessions) > number and service.sessions[number].used, what=f"session {number} is open"
    )
    return service.sessions[number]
