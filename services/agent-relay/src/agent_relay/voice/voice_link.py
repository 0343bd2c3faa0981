"""One voice session of a call: forwards events and audio between its socket and the call until the socket is lost."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from agent_relay import metrics
from agent_relay.core.protocol.voice_codec import decode, encode, encode_append
from agent_relay.core.protocol.voice_events import ClientEvent, ServerEvent
from agent_relay.core.protocol.voice_target import ConnectRequest, TokenScope, VoiceTarget, connect_request
from agent_relay.voice.uplink_audio import UplinkAudio
from agent_relay.voice.voice_live_client import LOST, SocketClosedError, VoiceSocket, connect
from bridge_common.auth.entra_tokens import Tokens
from bridge_common.base.errors import AuthError, FrameError, OutsideError
from bridge_common.base.log import fields
from bridge_common.base.waiting import afterwards

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dialer:
    """Opens voice sockets to one resource."""

    configured: VoiceTarget
    tokens: Tokens
    open_timeout_s: float = 5.0
    ping_interval_s: float = 20.0
    tls: ssl.SSLContext | None = None
    """TLS context of all sockets. They share one, because loading the trusted certificates takes longer than a
    handshake.
    """
    api_key: Callable[[], str] | None = None
    """Returns the API key in force; None: that of `configured`."""

    @property
    def target(self) -> VoiceTarget:
        """The target with the API key in force."""
        return self.configured if self.api_key is None else replace(self.configured, api_key=self.api_key())

    @property
    def resource(self) -> str:
        """Host (and port) of the resource."""
        return urlsplit(self.configured.endpoint).netloc

    async def dial(self, request_id: str, conversation_id: str) -> VoiceSocket:
        """Open a socket. If the tokens are rejected, retry once with fresh ones. Raises `AuthError` or
        `OutsideError`.
        """
        target = self.target
        scopes = target.scopes()
        tokens = {scope: await self.tokens.get(scope) for scope in scopes}
        try:
            return await self._open(target, tokens, request_id, conversation_id)
        except AuthError:
            if not scopes:
                raise
            log.info("token rejected; retrying with a fresh one", extra=fields(request_id=request_id))
        fresh = {scope: await self.tokens.fresh(scope, token) for scope, token in tokens.items()}
        return await self._open(target, fresh, request_id, conversation_id)

    async def _open(
        self, target: VoiceTarget, tokens: Mapping[TokenScope, str], request_id: str, conversation_id: str
    ) -> VoiceSocket:
        request: ConnectRequest = connect_request(
            target, tokens, request_id=request_id, conversation_id=conversation_id
        )
        return await connect(
            request, open_timeout_s=self.open_timeout_s, ping_interval_s=self.ping_interval_s, tls=self.tls
        )


class VoiceLink:
    """Connects a voice socket to a call: it receives events while `run` runs, and sends `audio` after `start_audio`.

    Sending never blocks: data that the service does not accept yet is buffered, caller audio up to a limit
    (`UplinkAudio`).
    """

    def __init__(
        self,
        socket: VoiceSocket,
        audio: UplinkAudio,
        on_event: Callable[[ServerEvent], None],
    ) -> None:
        self._socket = socket
        self._audio = audio
        self._audio_flows = False
        self._on_event = on_event
        self._close: Callable[[Coroutine[None, None, None]], None] | None = None
        self._kept: deque[ClientEvent] = deque()
        self._over: asyncio.Future[OutsideError] = asyncio.get_running_loop().create_future()

    def send(self, event: ClientEvent) -> None:
        if self._socket.writable and not self._kept:
            self._socket.send(encode(event))
        else:
            self._kept.append(event)

    def start_audio(self) -> None:
        """Start sending caller audio. Call it when the session is configured."""
        self._audio_flows = True
        self._flush()

    def send_audio(self, pcm24k: bytes) -> None:
        """Send a caller frame, after frames that are still waiting."""
        if self._audio_flows and self._socket.writable and not self._audio and not self._kept:
            self._socket.send(encode_append(pcm24k))
            self._audio.forwarded(pcm24k)
        else:
            self._audio.add(pcm24k)
            self._flush()

    def _flush(self) -> None:
        if self._over.done():
            return  # the audio is for the next session
        socket = self._socket
        while self._kept and socket.writable:
            socket.send(encode(self._kept.popleft()))
        if self._kept or not self._audio_flows:
            return
        while socket.writable and (append := self._audio.take()) is not None:
            socket.send(append)

    def abandon(self, why: OutsideError, close: Callable[[Coroutine[None, None, None]], None] | None = None) -> None:
        """End `run`. `close`: receives the closing handshake, so that `run` returns without waiting for it."""
        if not self._over.done():
            self._close = close
            self._over.set_result(why)

    async def run(self) -> OutsideError:
        """Run until the session is lost or abandoned, and return the reason. The socket is then closed, also on
        cancellation.

        An exception of `on_event` ends the session and is raised here, so that it does not affect other calls.
        """
        return await afterwards(self._listen(), self._end)

    async def _listen(self) -> OutsideError:
        self._socket.listen(self)
        return await self._over

    async def _end(self) -> None:
        self._over.cancel()
        if self._close is None:
            await self._socket.close()
        else:
            self._close(self._socket.close())

    # -- voice_live_client.Listener
    def on_message(self, message: memoryview | bytes) -> None:
        if self._over.done():
            return
        try:
            event = decode(message)
        except FrameError as error:
            metrics.BAD_EVENTS.inc()
            log.warning("malformed event from Voice Live", extra=fields(error=error.message))
            return
        try:
            self._on_event(event)
        except Exception as error:
            if not self._over.done():
                self._over.set_exception(error)

    def on_writable(self) -> None:
        self._flush()

    def on_lost(self, why: SocketClosedError) -> None:
        if not self._over.done() and why.close_code != LOST:
            self._audio.session_ends_in_order()
        self.abandon(why)
