"""One call at this relay: from the claim to the end of the call, or until another relay has it.

Everything the call does is decided by its `Conversation`. Here its commands are carried out: those that only put
something into a queue at once, those that wait for Redis one after the other in a task of their own.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import Final

from agent_relay import metrics
from agent_relay.core.commands import Abandon, Append, Command, MarkGreeted, Ready, Record, RunTool, Send
from agent_relay.core.conversation import Conversation, Phase
from agent_relay.core.voice_live import ErrorEvent, ServerEvent, WarningEvent
from agent_relay.desk import Desk, begin_conversation, was_held
from agent_relay.tools import run_tool
from agent_relay.uplink_audio import UplinkAudio
from agent_relay.voice_link import VoiceLink
from bridge_common.call_record import CallRecord
from bridge_common.entries import (
    AudioFrame,
    Clear,
    DownlinkEntry,
    Dtmf,
    Ended,
    Entry,
    MediaAttached,
    MediaDetached,
    Played,
    Playing,
    TranscriptEntry,
    Turn,
    VoiceLost,
    VoiceReady,
)
from bridge_common.errors import AuthError, BridgeError, OutsideError
from bridge_common.leases import Claim
from bridge_common.log import fields

log = logging.getLogger(__name__)

ENDED: Final = "ended"
LEASE_LOST: Final = "lease lost"
RELEASED: Final = "released"
FAILED: Final = "failed"
_SETTLED_S: Final = 5.0
"""A session that was ready for so long ends a series of failed attempts."""
_LAST_WORDS_S: Final = 1.0
"""What an ended call may still take to close its socket and to write its transcript."""
_REDIS_RETRY_S: Final = 0.2


async def open_relay(desk: Desk, claim: Claim, record: CallRecord) -> Relay:
    conversation = await begin_conversation(desk, record)
    return Relay(desk, claim, conversation, taken_over=was_held(record))


class Relay:
    def __init__(self, desk: Desk, claim: Claim, conversation: Conversation, *, taken_over: bool) -> None:
        self.claim = claim
        self._desk = desk
        self._conversation = conversation
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[str] = self._loop.create_future()
        self._audio = UplinkAudio()
        self._audio_seen = False
        self._promised = taken_over
        """call-control counts on a voice session: from now on even hopeless failures are tried again."""
        self._catching_up = taken_over
        """Tones that stand in the uplink already may have been told by the relay before us."""
        self._link: VoiceLink | None = None
        self._ready_since: float | None = None
        self._announced = False
        self._slow: asyncio.Queue[Command | None] = asyncio.Queue()
        self._timer: asyncio.TimerHandle | None = None
        self._muted: list[DownlinkEntry] | None = None
        downlink = desk.keys.downlink(claim.call_id)
        self._downlink = desk.writer.outlet(downlink, claim.epoch, lambda: self.stop(LEASE_LOST))

    @property
    def quiet(self) -> bool:
        return self._conversation.quiet

    def stop(self, why: str) -> None:
        if not self._over.done():
            self._over.set_result(why)

    def mute(self, muted: bool) -> None:
        """While it is not sure that the call is still ours nothing is said; it is said once it is sure again."""
        if muted and self._muted is None:
            self._muted = []
            log.warning("lease not renewed, silent", extra=fields(call_id=self.claim.call_id))
        elif not muted and self._muted is not None:
            held, self._muted = self._muted, None
            for entry in held:
                self._downlink.append(entry)

    async def run(self) -> str:
        """Until the call is over here; returns why: `ENDED`, `LEASE_LOST`, `RELEASED` or `FAILED`."""
        uplink = self._desk.keys.uplink(self.claim.call_id)
        self._conversation.begin(self._now())
        self._desk.reader.add(uplink, "0-0", self._on_uplink)
        voice = asyncio.create_task(self._guarded(self._hold_voice()))
        slow = asyncio.create_task(self._guarded(self._do_slow_ones()))
        self._set_timer()
        try:
            return await self._over
        finally:
            self._desk.reader.remove(uplink)
            if self._timer is not None:
                self._timer.cancel()
            voice.cancel()
            for command in (*self._conversation.call_ended(self._now()), None):
                self._slow.put_nowait(command)
            await asyncio.wait({voice, slow}, timeout=_LAST_WORDS_S)
            slow.cancel()
            await asyncio.gather(voice, slow, return_exceptions=True)
            self._downlink.close()
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
            wait = waits.after_failure(now) if self._promised or _may_pass(failure) else None
            where = fields(call_id=self.claim.call_id, error=failure.message, retry_in_s=wait)
            log.warning("voice session lost", extra=where)
            if wait is None:
                await self._lose_voice(failure.message)
                return
            await asyncio.sleep(wait)

    async def _one_session(self) -> BridgeError:
        """A session from its handshake to its loss; returns why it was lost."""
        request_id = str(uuid.uuid4())
        try:
            socket = await self._desk.dialer.dial(request_id, self._conversation.conversation_id)
        except (AuthError, OutsideError) as error:
            metrics.SESSIONS.labels("refused").inc()
            return error
        metrics.SESSIONS.labels("open").inc()
        log.info("voice socket open", extra=fields(call_id=self.claim.call_id, request_id=request_id))
        self._link = VoiceLink(socket, self._audio, self._audio_flows, self._on_voice)
        self._do(self._conversation.connected(self._now()))
        try:
            failure = await self._link.run()
        finally:
            self._link = None
        refusal = self._conversation.last_error
        if self._conversation.phase is Phase.OPENING and refusal:
            # A wrong agent is refused on the open socket: an error, then the close.
            return OutsideError(f"Voice Live refused the session: {refusal}", retry="server_error" in refusal)
        return failure

    async def _lose_voice(self, reason: str) -> None:
        """Tell call-control and keep the lease until it ends the call, so that no other relay tries all this again."""
        lost = VoiceLost(self.claim.call_id, self.claim.epoch, reason)
        await self._insist(lambda: self._desk.inbox.put(lost))

    def _audio_flows(self) -> bool:
        return self._conversation.phase is Phase.READY

    def _on_voice(self, event: ServerEvent) -> None:
        if isinstance(event, ErrorEvent | WarningEvent):
            where = fields(call_id=self.claim.call_id, code=event.code, error=event.message)
            log.warning("Voice Live complains", extra=where)
        self._do(self._conversation.voice_event(event, self._now()))

    # -- the caller's side
    def _on_uplink(self, _: str, entry: Entry) -> None:
        match entry:
            case AudioFrame():
                self._audio.add(entry.pcm24k)
                if not self._audio_seen:
                    self._audio_seen = True
                    self._do(self._conversation.caller_audio(self._now()))
                if self._link is not None:
                    self._link.nudge()
            case Ended():
                self.stop(ENDED)
            case Dtmf() if self._catching_up:
                pass
            case Dtmf() | Playing() | Played() | MediaAttached() | MediaDetached():
                self._do(self._conversation.from_caller(entry, self._now()))
            case _:
                pass

    # -- commands
    def _do(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case Append():
                    self._append(command.entry)
                case Send():
                    if self._link is not None:
                        self._link.send(command.event)
                case Abandon():
                    if self._link is not None:
                        self._link.abandon(OutsideError(command.reason, retry=command.retry))
                case _:
                    if isinstance(command, Ready):
                        self._on_ready()
                    self._slow.put_nowait(command)
        self._set_timer()

    def _append(self, entry: DownlinkEntry) -> None:
        if isinstance(entry, Clear):
            metrics.BARGE_INS.inc()
        if self._muted is None:
            self._downlink.append(entry)
        else:
            self._muted.append(entry)

    def _on_ready(self) -> None:
        self._ready_since = self._now()
        self._promised = True
        self._catching_up = False
        if self._link is not None:
            self._link.nudge()

    def _set_timer(self) -> None:
        """Wake up when the conversation has something to do; too early does no harm, so only an earlier time counts."""
        at = None if self._over.done() else self._conversation.next_at()
        if at is None or (self._timer is not None and not self._timer.cancelled() and self._timer.when() <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._do(self._conversation.tick(self._now()))

    async def _do_slow_ones(self) -> None:
        async with asyncio.TaskGroup() as tools:
            while command := await self._slow.get():
                match command:
                    case Record():
                        await self._note(command.entry)
                    case Ready():
                        await self._insist(partial(self._announce, command))
                    case MarkGreeted():
                        await self._insist(self._mark_greeted)
                    case RunTool():
                        tools.create_task(self._run_tool(command))

    async def _note(self, entry: TranscriptEntry) -> None:
        if isinstance(entry, Turn):
            for histogram, ms in (
                (metrics.FIRST_DELTA, entry.first_delta_ms),
                (metrics.FIRST_FRAME, entry.first_frame_ms),
            ):
                if ms >= 0:
                    histogram.observe(ms / 1000)
        else:
            log.info("notice", extra=fields(call_id=self.claim.call_id, what=entry.what))
        await self._insist(lambda: self._desk.store.append_transcript(self.claim.call_id, entry))

    async def _announce(self, ready: Ready) -> None:
        claim, desk = self.claim, self._desk
        ours = await desk.store.note_voice(
            claim,
            desk.leases.owner_text(claim),
            conversation_id=ready.conversation_id,
            voice_session_id=ready.session_id,
        )
        if not ours:
            self.stop(LEASE_LOST)
        elif not self._announced:
            await desk.inbox.put(VoiceReady(claim.call_id, claim.epoch))
            self._announced = True
            log.info("voice session ready", extra=fields(call_id=claim.call_id, session_id=ready.session_id))

    async def _mark_greeted(self) -> None:
        granted = await self._desk.store.mark_greeted(self.claim.call_id)
        self._do(self._conversation.greeting_granted(granted, self._now()))

    async def _run_tool(self, command: RunTool) -> None:
        output = await run_tool(self._desk.tools, command.name, command.arguments)
        self._do(self._conversation.tool_answered(command.call_id, output, self._now()))

    async def _insist(self, attempt: Callable[[], Awaitable[object]]) -> None:
        """Until Redis has done it. What it refuses is given up: trying again would bring the same refusal."""
        while True:
            try:
                await attempt()
                return
            except OutsideError as error:
                log.warning("not written", extra=fields(call_id=self.claim.call_id, error=error.message))
                if not error.retry:
                    return
            await asyncio.sleep(_REDIS_RETRY_S)


def _may_pass(failure: BridgeError) -> bool:
    """Whether trying again can help against it."""
    return isinstance(failure, OutsideError) and failure.retry
