"""One call at this relay: from the claim to the end of the call, or until another relay has it.

Everything the call does is decided by its `Conversation`. Here its commands are carried out: those that only put
something into a queue or a socket at once, those that wait for Redis as errands, in a task of their own.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Awaitable, Coroutine, Iterable
from dataclasses import replace
from typing import Final

from agent_relay import metrics, wire_log
from agent_relay.call_trace import CallTrace
from agent_relay.core.backoff import Waits
from agent_relay.core.commands import Abandon, Append, Command, Ready, Record, Send
from agent_relay.core.conversation import Conversation, Phase
from agent_relay.core.pulse import answers_probe
from agent_relay.core.uplink_cursor import UplinkCursor
from agent_relay.core.voice_live import ErrorEvent, ServerEvent, WarningEvent
from agent_relay.desk import Desk, begin_conversation, was_held
from agent_relay.downlink import Downlink
from agent_relay.errands import Errands
from agent_relay.quota import Urgency
from agent_relay.roll_over import LEAD_S, next_session
from agent_relay.say_listener import SayListener
from agent_relay.uplink_audio import UplinkAudio
from agent_relay.voice_link import VoiceLink
from agent_relay.voice_live_client import VoiceSocket
from agent_relay.voice_resources import NoConnectionError
from agent_relay.warm_sessions import WarmSession, open_session
from bridge_common import telemetry
from bridge_common.call_record import CallRecord
from bridge_common.entries import (
    AudioFrame,
    Bell,
    Clear,
    DownlinkEntry,
    Dtmf,
    Ended,
    Entry,
    MediaAttached,
    MediaDetached,
    Played,
    Playing,
    Stamp,
    Turn,
)
from bridge_common.errors import AuthError, BridgeError, OutsideError
from bridge_common.leases import BEGINNING, Claim
from bridge_common.log import fields

log = logging.getLogger(__name__)

ENDED: Final = "ended"
LEASE_LOST: Final = "lease lost"
RELEASED: Final = "released"
FAILED: Final = "failed"
_SETTLED_S: Final = 5.0
"""A session that was ready for so long ends a series of failed attempts."""
PATIENCE_S: Final = 5.0
"""Longer than this a phone does not ring for a connection that the quota does not have: the call is diverted."""
_FRAME_REST_S: Final = 0.012
"""Frames come every 20 ms. Most of the time between two of them nobody has to look for the next."""
_LAST_WORDS_S: Final = 1.0
"""What an ended call may still take to close its socket and to write its transcript."""


async def open_relay(desk: Desk, claim: Claim, record: CallRecord) -> Relay:
    conversation = await begin_conversation(desk, record)
    return Relay(desk, claim, conversation, record)


class Relay:
    def __init__(self, desk: Desk, claim: Claim, conversation: Conversation, record: CallRecord) -> None:
        self.claim = claim
        self._desk = desk
        self._trace = CallTrace(claim, record.traceparent)
        self._conversation = conversation
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[str] = self._loop.create_future()
        self._audio = UplinkAudio()
        self._audio_seen = False
        taken_over = was_held(record)
        self._known_socket = record.uplink_epoch
        """Epoch of the newest media socket when we claimed the call."""
        self._resource = record.voice_resource
        self._promised = taken_over
        """call-control counts on a voice session: from now on even hopeless failures are tried again."""
        self._cursor = UplinkCursor(claim.uplink_cursor)
        self._catching_up = taken_over and claim.uplink_cursor == BEGINNING
        """Tones that stand in the uplink already may have been told by the relay before us."""
        self.voice_session_id = ""
        self._link: VoiceLink | None = None
        self._ready_since: float | None = None
        self._just_ready = False
        self._next: WarmSession | None = None
        """Made ready to take the place of the current session."""
        self._closing: set[asyncio.Task[None]] = set()
        self._rolling: asyncio.Task[None] | None = None
        self.says = SayListener(desk, claim.call_id, conversation, self._do)
        self._errands = Errands(desk, claim, conversation, self._do, lambda: self.stop(LEASE_LOST))
        downlink = desk.keys.downlink(claim.call_id)
        self._downlink = Downlink(desk.writer, downlink, claim, lambda: self.stop(LEASE_LOST))

    @property
    def quiet(self) -> bool:
        return self._conversation.quiet

    @property
    def uplink_cursor(self) -> str:
        """From where a relay after this one has to read the caller's audio."""
        return self._cursor.text

    def amended(self, record: CallRecord) -> CallRecord:
        """With what this relay knows better."""
        return replace(
            record,
            greeted=record.greeted or self._conversation.greeted,
            conversation_id=self._conversation.conversation_id,
            voice_session_id=self.voice_session_id,
            voice_resource=self._resource,
            said=self._conversation.announcements.said,
        )

    def stop(self, why: str) -> None:
        if not self._over.done():
            self._over.set_result(why)

    def tick(self, now: float) -> None:
        """To be called some twenty times a second: the conversation does what has become due."""
        due = self._conversation.next_at()
        if due is None or now < due or self._over.done():
            return
        try:
            self._do(self._conversation.tick(now))
        except Exception:
            log.exception("relay failed", extra=fields(call_id=self.claim.call_id))
            self.stop(FAILED)

    def stamp(self) -> None:
        """To be called once a second: so the gateway knows how long our entries are under way."""
        if not self._downlink.muted and not self._over.done():
            self._downlink.append(Stamp(telemetry.now_us()))

    def mute(self, muted: bool) -> None:
        self._downlink.mute(muted)

    async def run(self) -> str:
        """Until the call is over here; returns why: `ENDED`, `LEASE_LOST`, `RELEASED` or `FAILED`."""
        uplink = self._desk.keys.uplink(self.claim.call_id)
        self._conversation.begin(self._now())
        self._desk.reader.add(uplink, self.claim.uplink_cursor, self._on_uplink, rest_s=_FRAME_REST_S)
        voice = asyncio.create_task(self._guarded(self._hold_voice()))
        errands = asyncio.create_task(self._guarded(self._errands.run()))
        says = asyncio.create_task(self._guarded(self.says.look()))
        try:
            return await self._over
        finally:
            self._desk.reader.remove(uplink)
            self.says.close()
            for task in (voice, says):
                task.cancel()
            if self._over.done() and not self._over.cancelled() and self._over.result() == ENDED:
                self._do(self._conversation.call_ended(self._now()))
            else:
                # Another relay goes on, and what still sounds is not over.
                self._do(self._conversation.call_left(self._now()))
            self._errands.finish()
            await asyncio.wait({voice, errands}, timeout=_LAST_WORDS_S)
            errands.cancel()
            await asyncio.gather(voice, errands, says, *self._closing, return_exceptions=True)
            self._downlink.close()
            if self._next is not None:
                await self._next.socket.close()
            metrics.DROPPED_FRAMES.inc(self._audio.dropped)

    async def _guarded(self, part: Coroutine[None, None, None]) -> None:
        try:
            await part
        except Exception:
            log.exception("relay failed", extra=fields(call_id=self.claim.call_id))
            self.stop(FAILED)

    def _now(self) -> float:
        return self._loop.time()

    # -- the voice session
    async def _hold_voice(self) -> None:
        """Keep a voice session until the call is over or the budget for winning one back is spent."""
        waits = self._desk.backoff.waits(random.random)
        while True:
            failure = await self._one_session()
            now = self._now()
            if self._ready_since is not None:
                metrics.LOST_SESSIONS.inc()
                if now - self._ready_since > _SETTLED_S:
                    waits = self._desk.backoff.waits(random.random)
                self._ready_since = None
            self._do(self._conversation.session_lost(failure.message, now))
            if self._next is not None:
                continue
            wait = self._wait_after(failure, waits, now)
            where = fields(call_id=self.claim.call_id, error=failure.message, retry_in_s=wait)
            log.warning("voice session lost", extra=where)
            if wait is None:
                await self._errands.tell_voice_lost(failure.message)
                return
            await asyncio.sleep(wait)

    def _wait_after(self, failure: BridgeError, waits: Waits, now: float) -> float | None:
        """Until the next attempt; None when there is none."""
        if isinstance(failure, NoConnectionError):
            patient = self._promised or failure.wait_s <= PATIENCE_S
            return waits.told(failure.wait_s, now) if patient else None
        return waits.after_failure(now) if self._promised or _may_pass(failure) else None

    async def _one_session(self) -> BridgeError:
        """A session from its handshake to its loss; returns why it was lost."""
        warm, self._next = self._next or self._desk.warm.take(self._conversation.takes), None
        request_id = warm.request_id if warm else str(uuid.uuid4())
        self._trace.session_begins(request_id, kind="warm" if warm else "open")
        try:
            socket = self._from_stock(warm) if warm else await self._dial(request_id)
        except (AuthError, OutsideError) as error:
            metrics.SESSIONS.labels("refused").inc()
            self._trace.session_over(error.message)
            return error
        metrics.SESSIONS.labels("warm" if warm else "open").inc()
        log.info("voice socket open", extra=fields(call_id=self.claim.call_id, request_id=request_id))
        on_voice = wire_log.hearing(self.claim.call_id, self._trace.following(self._on_voice))
        link = self._link = VoiceLink(socket, self._audio, self._audio_flows, on_voice)
        try:
            self._do(self._begin(warm))
            failure = await link.run()
            self._trace.session_over(failure.message)
        finally:
            self._link = None
            if self._rolling is not None:
                self._rolling.cancel()
        refusal = self._conversation.last_error
        if self._conversation.phase is Phase.OPENING and refusal:
            # A wrong agent is refused on the open socket: an error, then the close.
            return await self._refused(f"Voice Live refused the session: {refusal}", retry="server_error" in refusal)
        return failure

    async def _dial(self, request_id: str) -> VoiceSocket:
        urgency = Urgency.RUNNING if self._promised else Urgency.NEW
        opened = await self._desk.voice.dial(
            request_id, urgency, conversation_id=self._conversation.conversation_id, begun_on=self._resource
        )
        self._is_on(opened.resource)
        return opened.socket

    def _from_stock(self, warm: WarmSession) -> VoiceSocket:
        self._is_on(warm.resource)
        return warm.socket

    def _is_on(self, resource: str) -> None:
        if self._resource and self._resource != resource:
            # Nobody knows it there: it is told what was said.
            self._conversation.conversation_id = ""
        self._resource = resource

    async def _refused(self, why: str, *, retry: bool) -> OutsideError:
        """A missing role of an agent is told like this, and each attempt costs one of the connections."""
        error = OutsideError(why, retry=retry, status=0 if retry else 403)
        await self._desk.voice.leave_alone(self._resource, error)
        return error

    def _begin(self, warm: WarmSession | None) -> Iterable[Command]:
        if warm is None:
            return self._conversation.connected(self._now())
        return self._conversation.connected_to_configured(warm.configured, warm.refusals, self._now())

    async def _roll_over(self, link: VoiceLink, life_s: float) -> None:
        """Before the session expires the next one takes its place."""

        urgent_at = self._now() + life_s - min(LEAD_S, life_s / 4) / 2

        def open_next() -> Awaitable[WarmSession]:
            # With half of the time gone it must not wait behind new calls any more.
            urgency = Urgency.SPARE if self._now() < urgent_at else Urgency.RUNNING
            return open_session(
                self._desk.voice,
                self._conversation.plan,
                urgency,
                conversation_id=self._conversation.conversation_id,
                begun_on=self._resource,
            )

        self._next = await next_session(life_s, lambda: self.quiet, open_next)
        log.info("voice session rolled over", extra=fields(call_id=self.claim.call_id))
        # From now on the caller's audio is kept for the next one.
        self._link = None
        link.abandon(OutsideError("rolled over before it expires", retry=True), self._close_aside)

    def _close_aside(self, closing: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _audio_flows(self) -> bool:
        return self._conversation.phase is Phase.READY

    def _on_voice(self, event: ServerEvent) -> None:
        if type(event) is WarningEvent or (type(event) is ErrorEvent and not answers_probe(event)):
            where = fields(call_id=self.claim.call_id, code=event.code, error=event.message)
            log.warning("Voice Live complains", extra=where)
        self._do(self._conversation.voice_event(event, self._now()))

    # -- the caller's side
    def _on_uplink(self, entry_id: str, entry: Entry) -> None:
        if type(entry) is AudioFrame:
            self._on_frame(entry)
            if self._audio_flows():
                self._cursor.passed(entry_id, caller_waits=self._conversation.caller.waits)
            return
        match entry:
            case Ended():
                self.stop(ENDED)
            case Stamp():
                telemetry.observe_stamp("uplink", entry.at_us)
            case Bell():
                self._downlink.ring_at(entry.key)
            case Dtmf() if self._catching_up:
                pass
            case MediaAttached() if int(entry_id.partition("-")[0]) <= self._known_socket:
                self._do(self._conversation.attached(self._now()))
            case Dtmf() | Playing() | Played() | MediaAttached() | MediaDetached():
                self._do(self._conversation.from_caller(entry, self._now()))
            case _:
                pass

    def _on_frame(self, frame: AudioFrame) -> None:
        if self._link is not None:
            self._link.pass_on(frame.pcm24k)
        else:
            self._audio.add(frame.pcm24k)
        if not self._audio_seen:
            self._audio_seen = True
            self._do(self._conversation.caller_audio(self._now()))

    # -- commands
    def _do(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case Append():
                    self._append(command.entry)
                case Send():
                    if self._link is not None:
                        wire_log.sent(self.claim.call_id, command.event)
                        self._link.send(command.event)
                case Abandon():
                    if self._link is not None:
                        self._link.abandon(OutsideError(command.reason, retry=command.retry))
                case Ready():
                    self._on_ready(command)
                    self._errands.put(replace(command, resource=self._resource))
                case Record(entry=Turn() as turn):
                    self._trace.turn(turn)
                    self._errands.put(command)
                case _:
                    self._errands.put(command)
        if self._just_ready:
            # Caller audio follows what the session has to be told first.
            self._just_ready = False
            if self._link is not None:
                self._link.nudge()

    def _append(self, entry: DownlinkEntry) -> None:
        if type(entry) is Clear and self._conversation.caller.speaks:
            entry = replace(entry, at_us=telemetry.now_us())
            self._trace.barge_in(entry.item_id)
        self._downlink.append(entry)

    def _on_ready(self, ready: Ready) -> None:
        self.voice_session_id = ready.session_id
        self._trace.session_ready(ready.session_id)
        self._ready_since = self._now()
        self._promised = self._just_ready = True
        self._catching_up = False
        if ready.expires_at_s and self._link is not None:
            rolling = self._roll_over(self._link, ready.expires_at_s - time.time())
            self._rolling = asyncio.create_task(self._guarded(rolling))


def _may_pass(failure: BridgeError) -> bool:
    """Whether trying again can help against it."""
    return isinstance(failure, OutsideError) and failure.retry
