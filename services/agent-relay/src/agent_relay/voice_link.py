"""One voice session of a call: the socket, what goes into it and what comes out, until it is lost."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent_relay import metrics
from agent_relay.core.connection import Target, TokenScope, connect_request
from agent_relay.core.voice_codec import decode, encode
from agent_relay.core.voice_live import ClientEvent, ServerEvent
from agent_relay.credentials import Tokens
from agent_relay.uplink_audio import UplinkAudio
from agent_relay.voice_live_client import VoiceSocket, connect
from bridge_common.errors import AuthError, FrameError, OutsideError
from bridge_common.log import fields

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dialer:
    """Opens voice sockets for all calls of a process."""

    target: Target
    tokens: Tokens
    open_timeout_s: float = 5.0
    ping_interval_s: float = 20.0

    async def dial(self, request_id: str, conversation_id: str) -> VoiceSocket:
        """An open socket. A refused token is replaced once; raises `AuthError` or `OutsideError`."""
        scopes = self.target.scopes()
        tokens = {scope: await self.tokens.get(scope) for scope in scopes}
        try:
            return await self._open(tokens, request_id, conversation_id)
        except AuthError:
            if not scopes:
                raise
            log.info("token refused, trying a fresh one", extra=fields(request_id=request_id))
        fresh = {scope: await self.tokens.fresh(scope, token) for scope, token in tokens.items()}
        return await self._open(fresh, request_id, conversation_id)

    async def _open(self, tokens: Mapping[TokenScope, str], request_id: str, conversation_id: str) -> VoiceSocket:
        request = connect_request(self.target, tokens, request_id=request_id, conversation_id=conversation_id)
        return await connect(request, open_timeout_s=self.open_timeout_s, ping_interval_s=self.ping_interval_s)


class VoiceLink:
    """`audio` is sent whenever `audio_flows` says so; call `nudge` when either has changed."""

    def __init__(
        self,
        socket: VoiceSocket,
        audio: UplinkAudio,
        audio_flows: Callable[[], bool],
        on_event: Callable[[ServerEvent], None],
    ) -> None:
        self._socket = socket
        self._audio = audio
        self._audio_flows = audio_flows
        self._on_event = on_event
        self._outgoing: deque[ClientEvent] = deque()
        self._something = asyncio.Event()
        self._abandoned: asyncio.Future[OutsideError] = asyncio.get_running_loop().create_future()

    def send(self, event: ClientEvent) -> None:
        self._outgoing.append(event)
        self._something.set()

    def nudge(self) -> None:
        self._something.set()

    def abandon(self, why: OutsideError) -> None:
        if not self._abandoned.done():
            self._abandoned.set_result(why)

    async def run(self) -> OutsideError:
        """Until the session is lost; returns why. The socket is closed then, also when cancelled."""
        reading = asyncio.create_task(self._read())
        writing = asyncio.create_task(self._write())
        try:
            done, _ = await asyncio.wait({reading, writing, self._abandoned}, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)
            await self._socket.close()

    async def _read(self) -> OutsideError:
        while True:
            try:
                message = await self._socket.receive()
            except OutsideError as error:
                return error
            try:
                event = decode(message)
            except FrameError as error:
                metrics.BAD_EVENTS.inc()
                log.warning("malformed event from Voice Live", extra=fields(error=error.message))
                continue
            self._on_event(event)

    async def _write(self) -> OutsideError:
        try:
            while True:
                await self._something.wait()
                self._something.clear()
                await self._drain()
        except OutsideError as error:
            return error

    async def _drain(self) -> None:
        while True:
            while self._outgoing:
                await self._socket.send(encode(self._outgoing.popleft()))
            append = self._audio.take() if self._audio_flows() else None
            if append is None:
                return
            await self._socket.send(append)
