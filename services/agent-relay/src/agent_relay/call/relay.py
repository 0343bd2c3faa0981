"""One call at this relay: from the claim to the end of the call, or until another relay has it.

Everything the call does is decided by its `Conversation`. Here its commands are carried out: those that only put
something into a queue or a socket at once, those that wait for Redis as errands, in a task of their own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

import msgspec

from agent_relay.call.announcement_reader import AnnouncementReader
from agent_relay.call.call_trace import CallTrace
from agent_relay.call.call_voice import CallVoice
from agent_relay.call.downlink_writer import DownlinkWriter
from agent_relay.call.missed_uplink import MissedUplink
from agent_relay.call.outbox import Outbox
from agent_relay.call.previous_owner import PreviousOwner
from agent_relay.call_context import CallContext, begin_conversation, was_held
from agent_relay.core.dialog.conversation import Conversation
from agent_relay.core.dialog.conversation_commands import (
    Abandon,
    Append,
    Command,
    GiveUp,
    Overdue,
    Ready,
    Record,
    Send,
)
from agent_relay.core.keepalive import answers_probe
from agent_relay.core.protocol.voice_events import AudioDelta, ErrorEvent, ServerEvent, WarningEvent
from agent_relay.core.uplink_cursor import UplinkCursor, UplinkStop
from agent_relay.core.uplink_gate import UplinkGate
from bridge_common.base.errors import OutsideError
from bridge_common.base.log import fields
from bridge_common.base.waiting import afterwards
from bridge_common.observability import telemetry
from bridge_common.store.leases import BEGINNING, Claim
from bridge_common.wire.call_record import CallRecord
from bridge_common.wire.entries import (
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
    Stamp,
    Turn,
)

log = logging.getLogger(__name__)

ENDED: Final = "ended"
LEASE_LOST: Final = "lease lost"
RELEASED: Final = "released"
FAILED: Final = "failed"
_LOOK_S: Final = 0.5
"""So often it is asked in any case."""
_LAST_WORDS_S: Final = 1.0
"""What an ended call may still take to close its socket and to write its transcript."""


async def open_relay(desk: CallContext, claim: Claim, record: CallRecord) -> Relay:
    conversation = await begin_conversation(desk, record)
    return Relay(desk, claim, conversation, record)


class _Work(NamedTuple):
    voice: asyncio.Task[None]
    errands: asyncio.Task[None]
    says: asyncio.Task[None]
    alone: asyncio.Task[None]
    uplink: asyncio.Task[None]


class Relay:
    def __init__(self, desk: CallContext, claim: Claim, conversation: Conversation, record: CallRecord) -> None:
        self.claim = claim
        self._desk = desk
        self._trace = CallTrace(claim, record.traceparent, shows_words=conversation.plan.keeps_transcript)
        self._conversation = conversation
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[str] = self._loop.create_future()
        self._ended = False
        self._audio_seen = False
        self._caller_acts = False
        """A key of the caller is being processed."""
        self._uplink_at = 0.0
        """When the caller's audio came last (loop time)."""
        self._known_socket = record.uplink_epoch
        """Epoch of the newest media socket when we claimed the call."""
        self._predecessor = PreviousOwner(desk.fleet, claim.speaker, record.voice_epoch)
        self._cursor = UplinkCursor(claim.uplink_cursor)
        self._gate = UplinkGate() if self._predecessor.speaks else None
        self._catching_up = was_held(record) and claim.uplink_cursor == BEGINNING
        """Tones that stand in the uplink already may have been told by the relay before us."""
        self._hands_over = False
        self._just_ready = False
        self._look_at = 0.0
        """When to ask the conversation next what is due (loop time). 0 after whatever may have changed it."""
        self._voice = CallVoice(desk, conversation, record, self._trace, do=self._do, on_event=self._on_voice)
        self.says = AnnouncementReader(desk, claim.call_id, conversation, self._do)
        self._errands = Outbox(desk, claim, conversation, self._do, lambda: self.stop(LEASE_LOST))
        self._missed_uplink = MissedUplink(desk, claim.call_id, record.uplink_epoch, self._errands.put)
        downlink = desk.keys.downlink(claim.call_id)
        self._downlink = DownlinkWriter(desk.writer, downlink, claim, lambda: self.stop(LEASE_LOST))

    @property
    def voice_session_id(self) -> str:
        return self._voice.session_id

    @property
    def voice_resource(self) -> str:
        """On which the conversation is, and goes on best."""
        return self._voice.resource

    @property
    def quiet(self) -> bool:
        return self._conversation.quiet

    @property
    def uplink_cursor(self) -> str:
        """From where a relay after this one has to read the caller's audio."""
        return self._cursor.after_crash(typing=self._conversation.typing)

    def begin_hand_over(self) -> str:
        """From where the next relay has to read. This relay stores where it stops, whatever the reason: the first entry
        of the next relay may mute it before it is asked to stop.
        """
        self._hands_over = True
        return self._cursor.rewound

    def amended(self, record: CallRecord) -> CallRecord:
        """With what this relay knows better."""
        return replace(
            record,
            greeted=record.greeted or self._conversation.greeted,
            conversation_id=self._conversation.conversation_id,
            voice_session_id=self.voice_session_id,
            voice_resource=self._voice.resource,
            said=self._conversation.announcements.said,
        )

    def stop(self, why: str) -> None:
        if not self._over.done():
            self._over.set_result(why)

    def tick(self, now: float) -> None:
        """To be called some twenty times a second: the conversation does what has become due."""
        if self._over.done():
            return
        self._missed_uplink.look(now)
        if now < self._look_at:
            return
        due = self._conversation.next_at()
        if due is None or now < due:
            self._look_at = now + _LOOK_S if due is None else min(due, now + _LOOK_S)
            return
        try:
            self._do(self._conversation.tick(now))
        except Exception:
            log.exception("relay failed", extra=fields(call_id=self.claim.call_id))
            self.stop(FAILED)

    def stamp(self) -> None:
        """To be called once a second: so the gateway knows how long our entries are under way.

        Nothing before the voice session is ready: the relay that hands the call over still speaks, until our first
        entry.
        """
        if self._voice.takes_audio and not self._downlink.muted and not self._over.done():
            self._downlink.append(Stamp(telemetry.now_us()))

    def mute(self, muted: bool) -> None:
        self._downlink.mute(muted)

    async def run(self) -> str:
        """Until the call is over here; returns why: `ENDED`, `LEASE_LOST`, `RELEASED` or `FAILED`."""
        self._conversation.begin(self._now())
        uplink = self._desk.keys.uplink(self.claim.call_id)
        self._desk.reader.add(uplink, self.claim.uplink_cursor, self._on_uplink)
        silence, stop = self._await_silence(), self._await_stop()
        parts = (self._hold_voice(), self._errands.run(), self.says.look(), silence, stop)
        work = _Work(*(asyncio.create_task(self._guarded(part)) for part in parts))
        why = await afterwards(self._over, partial(self._leave, work))
        return ENDED if self._ended else why

    async def _leave(self, work: _Work) -> None:
        self._desk.reader.remove(self._desk.keys.uplink(self.claim.call_id))
        noting = asyncio.create_task(self._note_stop(self._cursor.stop(typing=self._conversation.typing)))
        # Part with everything also when the process ends meanwhile.
        await afterwards(self._note_end(), partial(self._part, work, noting))

    async def _note_end(self) -> None:
        """A call that ends loses its lease too, and we may meet that before the end of the uplink."""
        why = FAILED if self._over.cancelled() else self._over.result()
        if why != LEASE_LOST:
            self._ended = why == ENDED
            return
        try:
            record = await asyncio.wait_for(self._desk.store.load(self.claim.call_id), _LAST_WORDS_S)
        except (OutsideError, TimeoutError):
            return
        self._ended = record is not None and not record.status.live

    async def _part(self, work: _Work, noting: asyncio.Task[None]) -> None:
        self.says.close()
        for task in (work.voice, work.says, work.alone, work.uplink):
            task.cancel()
        self._say_goodbye()
        self._errands.finish()
        last_words = asyncio.wait({work.voice, work.errands, noting}, timeout=_LAST_WORDS_S)
        await afterwards(last_words, partial(self._let_go, work, noting))

    async def _note_stop(self, stop: UplinkStop) -> None:
        """Store where the next relay begins; it waits for this only briefly (`STOP_WITHIN_S`)."""
        if not self._hands_over:
            return
        try:
            await self._desk.leases.note_stop(self.claim, stop.audio, stop.tones)
        except OutsideError as error:
            log.warning("uplink stop not noted", extra=fields(call_id=self.claim.call_id, error=error.message))

    async def _let_go(self, work: _Work, noting: asyncio.Task[None]) -> None:
        work.errands.cancel()
        noting.cancel()
        await asyncio.gather(*work, noting, return_exceptions=True)
        self._downlink.close()
        await self._voice.close()

    def _say_goodbye(self) -> None:
        if self._ended:
            self._do(self._conversation.call_ended(self._now()))
        else:
            # Another relay goes on, and what still sounds is not over.
            self._do(self._conversation.call_left(self._now()))

    async def _guarded(self, part: Coroutine[None, None, None]) -> None:
        try:
            await part
        except Exception:
            log.exception("relay failed", extra=fields(call_id=self.claim.call_id))
            self.stop(FAILED)

    def _now(self) -> float:
        return self._loop.time()

    # -- the voice
    async def _hold_voice(self) -> None:
        why = await self._voice.hold()
        if self._predecessor.speaks:
            # The call is better off where it was; another relay may have more luck with it.
            self.stop(RELEASED)
        else:
            await self._errands.tell_voice_lost(why)

    async def _await_silence(self) -> None:
        """The relay that hands the call over speaks until our first entry: before we are ready there is to be none."""
        began = self._now()
        await self._predecessor.watch()
        # Its silence began no later than this, and if it had never spoken on, when we came.
        self._conversation.left_alone(began)
        self._look_at = 0.0

    async def _await_stop(self) -> None:
        """The previous owner processes caller audio until our voice session is ready; we begin where it stopped."""
        if self._gate is None:
            return
        stop = await self._predecessor.stop(self._desk.leases, self.claim, lambda: self._voice.takes_audio)
        held, self._gate = self._gate.release(stop), None
        if stop is None and held:
            log.info("previous owner noted no stop", extra=fields(call_id=self.claim.call_id, entries=len(held)))
        for entry_id, entry in held:
            self._on_uplink(entry_id, entry)

    def _on_voice(self, event: ServerEvent) -> None:
        if type(event) is WarningEvent or (type(event) is ErrorEvent and not answers_probe(event)):
            where = fields(call_id=self.claim.call_id, code=event.code, error=event.message)
            log.warning("Voice Live complains", extra=where)
        commands = self._conversation.voice_event(event, self._now())
        if type(event) is AudioDelta:
            # Nearly all events. While the agent speaks nothing becomes due sooner.
            self._carry_out(commands)
        else:
            self._do(commands)

    # -- the caller's side
    def _on_uplink(self, entry_id: str, entry: Entry) -> None:
        if self._missed_uplink.reported:
            self._missed_uplink.heard(entry_id, entry)
        if self._gate is not None and (type(entry) is AudioFrame or type(entry) is Dtmf):
            self._gate.hold(entry_id, entry)
            return
        if type(entry) is AudioFrame:
            self._uplink_at = self._loop.time()
            if self._voice.hear(entry.pcm24k):
                self._cursor.passed(entry_id, caller_waits=self._conversation.caller.waits)
            if not self._audio_seen:
                self._audio_seen = True
                self._do(self._conversation.caller_audio(self._now()))
            return
        match entry:
            case Ended():
                self.stop(ENDED)
            case Stamp():
                telemetry.observe_stamp("uplink", entry.at_us)
            case Dtmf() if self._catching_up:
                pass
            case MediaAttached():
                self._on_attached(entry, epoch=int(entry_id.partition("-")[0]))
            case Dtmf():
                self._cursor.tone(entry_id, typing=self._conversation.typing)
                self._caller_acts = True
                self._do(self._conversation.from_caller(entry, self._now()))
                self._caller_acts = False
            case Playing() | Played() | MediaDetached():
                self._do(self._conversation.from_caller(entry, self._now()))
            case _:
                pass

    def _on_attached(self, entry: MediaAttached, *, epoch: int) -> None:
        self._missed_uplink.attached(epoch)
        if epoch <= self._known_socket:
            self._do(self._conversation.attached(self._now()))
        else:
            now = self._now()
            self._do(self._conversation.media_replaced(self._uplink_at or now, now))

    # -- commands
    def _do(self, commands: Iterable[Command]) -> None:
        self._look_at = 0.0
        self._carry_out(commands)

    def _carry_out(self, commands: Iterable[Command]) -> None:
        for command in commands:
            match command:
                case Append():
                    self._append(command.entry)
                case Send():
                    self._voice.send(command.event)
                case Abandon():
                    self._voice.abandon(command.reason, retry=command.retry)
                case GiveUp():
                    self._voice.give_up(command.reason)
                case Overdue():
                    self._trace.overdue(command)
                case Ready():
                    self._on_ready(command)
                case Record(entry=Turn() as turn):
                    self._trace.turn(turn)
                    self._errands.put(command)
                case _:
                    self._errands.put(command)
        if self._just_ready:
            self._just_ready = False
            self._voice.nudge()

    def _append(self, entry: DownlinkEntry) -> None:
        if type(entry) is Clear and (self._conversation.caller.speaks or self._caller_acts):
            entry = Clear(entry.item_id, telemetry.now_us())
            self._trace.barge_in(entry.item_id)
        self._downlink.append(entry)

    def _on_ready(self, ready: Ready) -> None:
        self._just_ready = True
        self._catching_up = False
        self._voice.ready(ready)
        self._errands.put(msgspec.structs.replace(ready, resource=self._voice.resource))
