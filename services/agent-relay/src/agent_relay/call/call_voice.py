"""The voice of one call: a voice session, and after it the next one, until the call is over.

A lost session is reopened within a budget. Before a session expires, its replacement is opened and takes over at a
quiet moment. The caller's audio is kept while there is no session.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Final, Protocol

from agent_relay import metrics
from agent_relay.call.call_trace import CallTrace
from agent_relay.call_context import CallContext, was_held
from agent_relay.core.dialog.conversation_commands import Ready
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.protocol.session_refusal import AGAIN_S, ATTEMPTS, RefusedSessionError, refused_session
from agent_relay.core.protocol.session_setup import SessionSetup
from agent_relay.core.protocol.voice_events import ClientEvent, ServerEvent, SessionUpdated
from agent_relay.voice import protocol_trace
from agent_relay.voice.connection_quota import Urgency
from agent_relay.voice.roll_over import LEAD_S, next_session
from agent_relay.voice.uplink_audio import UplinkAudio
from agent_relay.voice.voice_link import VoiceLink
from agent_relay.voice.voice_live_client import VoiceSocket
from agent_relay.voice.voice_resources import NoConnectionError
from agent_relay.voice.warm_pool import WarmSession, open_session
from bridge_common.base.errors import AuthError, BridgeError, OutsideError
from bridge_common.base.log import fields
from bridge_common.base.retry import Delays
from bridge_common.wire.call_record import CallRecord

log = logging.getLogger(__name__)

_SETTLED_S: Final = 5.0
"""A session that was ready for so long ends a series of failed attempts."""
PATIENCE_S: Final = 5.0
"""Longer than this a phone does not ring for a connection that the quota does not have: the call is diverted."""


class VoiceEvents(Protocol):
    """Receives everything that happens to the voice sessions of a call, and answers what the next one needs (the driver
    of the call).
    """

    @property
    def conversation_id(self) -> str:
        """To resume the conversation by, "" if there is none."""

    @property
    def refusal(self) -> str:
        """The error of the service against a session that was not configured yet, "" if there was none."""

    def accepts(self, setup: SessionSetup) -> bool:
        """Whether a session that was configured in advance suits the call."""

    def quiet(self) -> bool:
        """Nobody speaks and nobody is about to."""

    def session_opened(self, *, resumes: bool) -> None:
        """`resumes`: the resource knows the conversation id."""

    def configured_session_opened(self, session: SessionUpdated, refusals: Iterable[str], *, resumes: bool) -> None: ...

    def voice_event(self, event: ServerEvent) -> None: ...

    def session_lost(self, reason: str) -> None: ...


class CallVoice:
    def __init__(
        self, desk: CallContext, record: CallRecord, plan: SessionProfile, trace: CallTrace, events: VoiceEvents
    ) -> None:
        self.session_id = ""
        self.resource = record.voice_resource
        self._desk = desk
        self._plan = plan
        self._events = events
        self._call_id = record.call_id
        self._trace = trace
        self._on_event = protocol_trace.traced(
            record.call_id, trace.following(events.voice_event), shows_words=plan.keeps_transcript
        )
        self._now = asyncio.get_running_loop().time
        self._promised = was_held(record)
        """call-control counts on a voice session: from now on even hopeless failures are tried again."""
        self._audio = UplinkAudio()
        self._link: VoiceLink | None = None
        self._ready_since: float | None = None
        self._next: WarmSession | None = None
        """Made ready to take the place of the current session."""
        self._rolling: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._content_refusals = 0
        """Sessions in a row that were refused for what they ask for."""
        self._given_up = ""
        """The reason, once no further session is wanted."""

    def hear(self, pcm24k: bytes) -> None:
        """A frame of the caller; kept while no session takes it."""
        if self._link is not None:
            self._link.send_audio(pcm24k)
        else:
            self._audio.add(pcm24k)

    def session_alive(self, *, caller_speaks: bool) -> None:
        """An event of the session was processed."""
        self._audio.session_alive(caller_speaks=caller_speaks)

    def send(self, event: ClientEvent) -> None:
        if self._link is not None:
            protocol_trace.trace_sent(self._call_id, event)
            self._link.send(event)

    def abandon(self, reason: str, *, retry: bool) -> None:
        """Give the current session up."""
        if self._link is not None:
            self._link.abandon(OutsideError(reason, retry=retry))

    def give_up(self, reason: str) -> None:
        """Open no further session: `hold` returns."""
        self._given_up = reason
        self.abandon(reason, retry=False)

    def start_audio(self) -> None:
        """The session is ready for the caller's audio."""
        if self._link is not None:
            self._link.start_audio()

    def ready(self, ready: Ready) -> None:
        """The session is configured: the call may count on it."""
        self.session_id = ready.session_id
        self._trace.session_ready(ready.session_id)
        self._ready_since = self._now()
        self._content_refusals = 0
        self._promised = True
        if ready.expires_at_s and self._link is not None:
            rolling = self._roll_over(self._link, ready.expires_at_s - time.time())
            self._rolling = asyncio.create_task(self._guarded(rolling))

    async def hold(self) -> str:
        """Keep a voice session until the budget for winning one back is spent; returns why there is none."""
        waits = self._desk.backoff.delays()
        refused = 0
        while True:
            failure = await self._one_session()
            now = self._now()
            refused = refused + 1 if self._ready_since is None else 0
            if self._ready_since is not None:
                metrics.LOST_SESSIONS.inc()
                if now - self._ready_since > _SETTLED_S:
                    waits = self._desk.backoff.delays()
                self._ready_since = None
            self._events.session_lost(failure.message)
            if self._given_up:
                return self._given_up
            if self._next is not None:
                continue
            wait = self._wait_after(failure, waits, now)
            self._log_failure(failure, refused, wait)
            if wait is None:
                return failure.message
            await asyncio.sleep(wait)

    def _log_failure(self, failure: BridgeError, refused: int, wait: float | None) -> None:
        """A loss, and of the attempts that failed in a row the first and the last: there are several in a second."""
        remedy = {"remedy": failure.remedy} if isinstance(failure, RefusedSessionError) else {}
        where = fields(call_id=self._call_id, error=failure.message, retry_in_s=wait, attempts=refused, **remedy)
        if not refused:
            log.warning("voice session lost", extra=where)
        elif refused == 1 or wait is None:
            log.warning("voice session not opened", extra=where)
        else:
            log.debug("voice session not opened", extra=where)

    async def close(self) -> None:
        """After `hold` has ended: nothing stays open."""
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._next is not None:
            await self._next.socket.close()
        metrics.DROPPED_FRAMES.inc(self._audio.dropped)

    # -- one session
    async def _one_session(self) -> BridgeError:
        """A session from its handshake to its loss; returns why it was lost."""
        warm, self._next = self._next or self._desk.warm.take(self._events.accepts), None
        request_id = warm.request_id if warm else str(uuid.uuid4())
        self._trace.session_begins(request_id, kind="warm" if warm else "open")
        begun_on = self.resource
        try:
            socket = self._from_stock(warm) if warm else await self._dial(request_id)
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
            # A wrong agent is refused on the open socket: an error, then the close.
            refused = refused_session(refusal)
            await self._desk.voice.pause_after(self.resource, refused)
            return refused
        return failure

    async def _dial(self, request_id: str) -> VoiceSocket:
        urgency = Urgency.RUNNING if self._promised else Urgency.NEW
        opened = await self._desk.voice.dial(
            request_id, urgency, conversation_id=self._events.conversation_id, begun_on=self.resource
        )
        self.resource = opened.resource
        return opened.socket

    def _from_stock(self, warm: WarmSession) -> VoiceSocket:
        self.resource = warm.resource
        return warm.socket

    def _wait_after(self, failure: BridgeError, waits: Delays, now: float) -> float | None:
        """Until the next attempt; None when there is none."""
        if isinstance(failure, NoConnectionError):
            patient = self._promised or failure.wait_s <= PATIENCE_S
            return waits.after_refusal(failure.wait_s, now) if patient else None
        if isinstance(failure, RefusedSessionError):
            # The next one asks for the same, and each attempt costs one of the connections.
            self._content_refusals += 1
            return waits.after_refusal(AGAIN_S, now) if self._content_refusals < ATTEMPTS else None
        return waits.after_failure(now) if self._promised or _may_pass(failure) else None

    # -- and the next one
    async def _roll_over(self, link: VoiceLink, life_s: float) -> None:
        """Before the session expires the next one takes its place."""
        urgent_at = self._now() + life_s - min(LEAD_S, life_s / 4) / 2

        def open_next() -> Awaitable[WarmSession]:
            # With half of the time gone it must not wait behind new calls any more.
            urgency = Urgency.BACKGROUND if self._now() < urgent_at else Urgency.RUNNING
            return open_session(
                self._desk.voice,
                self._plan,
                urgency,
                conversation_id=self._events.conversation_id,
                begun_on=self.resource,
            )

        self._next = await next_session(life_s, self._events.quiet, open_next)
        log.info("voice session rolled over", extra=fields(call_id=self._call_id))
        # From now on the caller's audio is kept for the next one, which continues where this one stopped.
        self._audio.session_ends_in_order()
        self._link = None
        link.abandon(OutsideError("rolled over before it expires", retry=True), self._close_aside)

    def _close_aside(self, closing: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _guarded(self, rolling: Coroutine[None, None, None]) -> None:
        try:
            await rolling
        except Exception:
            # The session lives on until it expires, and is won back then.
            log.exception("rolling over failed", extra=fields(call_id=self._call_id))


def _may_pass(failure: BridgeError) -> bool:
    """Whether trying again can help against it."""
    return isinstance(failure, OutsideError) and failure.retry
