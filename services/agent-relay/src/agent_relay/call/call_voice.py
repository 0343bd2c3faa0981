"""The voice sessions of one call, one after the other, until the call has ended.

If a session is lost, another one is opened (`reconnects`). Before a session expires, its replacement is opened, which
takes over at a quiet moment. Caller audio is buffered while there is no session.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Protocol

from agent_relay import metrics
from agent_relay.agents import AgentVersion
from agent_relay.call.call_trace import CallTrace
from agent_relay.call.reconnects import Reconnects
from agent_relay.call_context import was_held
from agent_relay.core.dialog.conversation_commands import Ready
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.protocol.session_refusal import refused_session
from agent_relay.core.protocol.session_setup import SessionSetup
from agent_relay.core.protocol.voice_events import ClientEvent, ServerEvent, SessionUpdated
from agent_relay.voice import protocol_trace
from agent_relay.voice.connection_quota import Urgency
from agent_relay.voice.roll_over import LEAD_S, next_session
from agent_relay.voice.uplink_audio import UplinkAudio
from agent_relay.voice.voice_link import VoiceLink
from agent_relay.voice.voice_live_client import NORMAL, SocketClosedError, VoiceSocket
from agent_relay.voice.warm_pool import WarmSession, open_session
from bridge_common.base.errors import AuthError, BridgeError, OutsideError
from bridge_common.base.log import fields
from bridge_common.base.retry import Backoff
from bridge_common.wire.call_record import CallRecord

log = logging.getLogger(__name__)


class VoiceEvents(Protocol):
    """Handles the events of a call's voice sessions, and provides the state that the next session needs. Implemented by
    `Driver`.
    """

    @property
    def conversation_id(self) -> str:
        """Id of the conversation to resume, "" if there is none."""

    @property
    def refusal(self) -> str:
        """The latest error that the service reported while the session was being opened, "" if there was none."""

    @property
    def agent_rests(self) -> bool:
        """Whether the caller waits for a person or talks with one, so that a session can be missed for a while."""

    def accepts(self, setup: SessionSetup) -> bool:
        """Whether a session that was configured in advance can serve the call."""

    def quiet(self) -> bool:
        """Whether neither side speaks or is about to speak."""

    def session_opened(self, *, resumes: bool) -> None:
        """Handle an open socket. `resumes`: the resource knows the conversation id, so that the conversation can be
        resumed.
        """

    def configured_session_opened(self, session: SessionUpdated, refusals: Iterable[str], *, resumes: bool) -> None: ...

    def voice_event(self, event: ServerEvent) -> None: ...

    def session_lost(self, reason: str) -> None: ...

    def agent_left(self) -> bool:
        """Handle a session that the service has closed with 1000. Return whether this ends the call."""


class CallVoice:
    def __init__(
        self,
        backoff: Backoff,
        record: CallRecord,
        agent: AgentVersion,
        profile: SessionProfile,
        trace: CallTrace,
        events: VoiceEvents,
    ) -> None:
        self.session_id = ""
        self.resource = record.voice_resource
        self._agent = agent
        self._profile = profile
        self._events = events
        self._call_id = record.call_id
        self._trace = trace
        self._on_event = protocol_trace.traced(
            record.call_id, trace.following(events.voice_event), shows_words=profile.keeps_transcript
        )
        self._now = asyncio.get_running_loop().time
        self._reconnects = Reconnects(record.call_id, backoff, promised=was_held(record))
        self._audio = UplinkAudio()
        self._link: VoiceLink | None = None
        self._next: WarmSession | None = None
        """The configured replacement of the current session."""
        self._rolling: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._given_up = ""
        """Why no further session is opened; "" while sessions are still opened."""

    def hear(self, pcm24k: bytes) -> None:
        """Send a caller frame; buffer it while there is no session."""
        if self._link is not None:
            self._link.send_audio(pcm24k)
        else:
            self._audio.add(pcm24k)

    def session_alive(self, *, caller_speaks: bool) -> None:
        self._audio.session_alive(caller_speaks=caller_speaks)

    def send(self, event: ClientEvent) -> None:
        if self._link is not None:
            protocol_trace.trace_sent(self._call_id, event)
            self._link.send(event)

    def abandon(self, reason: str, *, retry: bool) -> None:
        if self._link is not None:
            self._link.abandon(OutsideError(reason, retry=retry))

    def give_up(self, reason: str) -> None:
        """Close the current session and open no further one, so that `hold` returns."""
        self._given_up = reason
        self.abandon(reason, retry=False)

    def start_audio(self) -> None:
        if self._link is not None:
            self._link.start_audio()

    def ready(self, ready: Ready) -> None:
        self.session_id = ready.session_id
        self._trace.session_ready(ready.session_id)
        self._agent.session_ready(ready.functions)
        self._reconnects.ready(self._now())
        if ready.expires_at_s and self._link is not None:
            rolling = self._roll_over(self._link, ready.expires_at_s - time.time())
            self._rolling = asyncio.create_task(self._guarded(rolling))

    async def hold(self) -> str:
        """Keep a voice session open, replacing lost ones, until the reconnect budget is spent. Return the last
        failure. Does not return if the agent has ended the call.
        """
        while True:
            failure = await self._one_session()
            if isinstance(failure, SocketClosedError) and failure.close_code == NORMAL and self._events.agent_left():
                await asyncio.Future()  # until the call has ended
            now = self._now()
            self._reconnects.ended(now)
            self._events.session_lost(failure.message)
            if self._given_up:
                return self._given_up
            if self._next is not None:
                continue
            delay_s = self._reconnects.delay_after(failure, now, patient=self._events.agent_rests)
            if delay_s is None:
                return failure.message
            await asyncio.sleep(delay_s)

    async def close(self) -> None:
        """Close all sockets. Call it after `hold` has returned."""
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._next is not None:
            await self._next.socket.close()
        metrics.DROPPED_FRAMES.inc(self._audio.dropped)

    # -- one session
    async def _one_session(self) -> BridgeError:
        """Run one session from its handshake until it is lost. Return the failure."""
        warm, self._next = self._next or self._agent.warm.take(self._events.accepts), None
        request_id = warm.request_id if warm else str(uuid.uuid4())
        self._trace.session_begins(request_id, kind="warm" if warm else "open")
        begun_on = self.resource
        try:
            socket, self.resource = (warm.socket, warm.resource) if warm else await self._dial(request_id)
        except (AuthError, OutsideError) as error:
            metrics.SESSIONS.labels("refused").inc()
            self._trace.session_over(error.message)
            return error
        metrics.SESSIONS.labels("warm" if warm else "open").inc()
        log.info("voice socket open", extra=fields(call_id=self._call_id, request_id=request_id))
        link = self._link = VoiceLink(socket, self._audio, self._on_event)
        try:
            resumes = begun_on in ("", self.resource)
            if warm is None:
                self._events.session_opened(resumes=resumes)
            else:
                self._events.configured_session_opened(warm.configured, warm.refusals, resumes=resumes)
            failure = await link.run()
            self._trace.session_over(failure.message)
        finally:
            self._link = None
            self._audio.session_over()
            if self._rolling is not None:
                self._rolling.cancel()
        if refusal := self._events.refusal:
            # The service rejects an invalid agent only on the open socket: it sends an error, then closes the socket.
            refused = refused_session(refusal)
            await self._agent.voice.pause_after(self.resource, refused)
            return refused
        return failure

    async def _dial(self, request_id: str) -> tuple[VoiceSocket, str]:
        urgency = Urgency.RUNNING if self._reconnects.promised else Urgency.NEW
        opened = await self._agent.voice.dial(
            request_id, urgency, conversation_id=self._events.conversation_id, begun_on=self.resource
        )
        return opened.socket, opened.resource

    # -- the next session
    async def _roll_over(self, link: VoiceLink, life_s: float) -> None:
        """Replace the session before it expires."""
        urgent_at = self._now() + life_s - min(LEAD_S, life_s / 4) / 2

        def open_next() -> Awaitable[WarmSession]:
            # After half of the lead time, it has priority over new calls.
            urgency = Urgency.BACKGROUND if self._now() < urgent_at else Urgency.RUNNING
            return open_session(
                self._agent.voice,
                self._profile,
                urgency,
                conversation_id=self._events.conversation_id,
                begun_on=self.resource,
            )

        self._next = await next_session(life_s, self._events.quiet, open_next)
        log.info("voice session rolled over", extra=fields(call_id=self._call_id))
        # From now on, caller audio is buffered for the next session, which continues where this one stopped.
        self._audio.session_ends_in_order()
        self._link = None
        link.abandon(OutsideError("voice session replaced before it expires", retry=True), self._close_aside)

    def _close_aside(self, closing: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _guarded(self, rolling: Coroutine[None, None, None]) -> None:
        try:
            await rolling
        except Exception:
            # The session is used until it expires; then another one is opened.
            log.exception("voice session rollover failed", extra=fields(call_id=self._call_id))
