"""One call at this relay: from the claim to the end of the call, or until another relay drives it.

`Driver` decides and acts while the call lasts; here are the call's tasks, their start and their teardown.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from typing import Final, NamedTuple

from agent_relay.call.announcement_reader import AnnouncementReader
from agent_relay.call.call_trace import CallTrace
from agent_relay.call.call_voice import CallVoice
from agent_relay.call.downlink_writer import DownlinkWriter
from agent_relay.call.driver import Driver
from agent_relay.call.missed_uplink import MissedUplink
from agent_relay.call.outbox import Outbox
from agent_relay.call.previous_owner import PreviousOwner
from agent_relay.call.uplink_reader import UplinkReader
from agent_relay.call_context import CallContext, begin_conversation, was_held
from agent_relay.core.uplink_cursor import UplinkStop
from bridge_common.base.errors import OutsideError
from bridge_common.base.log import fields
from bridge_common.base.waiting import afterwards
from bridge_common.observability import telemetry
from bridge_common.store.leases import Claim
from bridge_common.wire.call_record import CallRecord
from bridge_common.wire.entries import Stamp

log = logging.getLogger(__name__)

ENDED: Final = "ended"
LEASE_LOST: Final = "lease lost"
RELEASED: Final = "released"
FAILED: Final = "failed"
_LAST_WORDS_S: Final = 1.0
"""How long an ended call may take to close its socket and to write its transcript."""


async def open_relay(desk: CallContext, claim: Claim, record: CallRecord) -> Relay:
    conversation = await begin_conversation(desk, record)
    trace = CallTrace(claim, record.traceparent, shows_words=conversation.profile.keeps_transcript)
    return Relay(desk, claim, record, Driver(claim.call_id, conversation, trace), trace)


class _Work(NamedTuple):
    voice: asyncio.Task[None]
    errands: asyncio.Task[None]
    says: asyncio.Task[None]
    alone: asyncio.Task[None]
    uplink: asyncio.Task[None]


class Relay:
    def __init__(self, desk: CallContext, claim: Claim, record: CallRecord, driver: Driver, trace: CallTrace) -> None:
        self.claim = claim
        self._desk = desk
        self._driver = driver
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[str] = self._loop.create_future()
        self._ended = False
        self._hands_over = False
        self._predecessor = PreviousOwner(desk.fleet, claim.speaker, record.voice_epoch)
        profile = driver.profile
        self._voice = CallVoice(desk, record, profile, trace, driver)
        self._errands = Outbox(desk, claim, driver, self._lose_lease, keeps_transcript=profile.keeps_transcript)
        self._downlink = DownlinkWriter(desk.writer, desk.keys.downlink(claim.call_id), claim, self._lose_lease)
        driver.connect(self._voice, self._errands, self._downlink)
        self.says = AnnouncementReader(desk, claim.call_id, driver.announcement)
        self._missed_uplink = MissedUplink(desk, claim.call_id, record.uplink_epoch, self._errands.put)
        self._uplink = UplinkReader(
            claim,
            record,
            driver,
            self._missed_uplink,
            partial(self.stop, ENDED),
            resumed=was_held(record),
            gated=self._predecessor.speaks,
        )

    @property
    def voice_session_id(self) -> str:
        return self._voice.session_id

    @property
    def voice_resource(self) -> str:
        """The Voice Live resource that has the conversation, and on which it continues best."""
        return self._voice.resource

    @property
    def quiet(self) -> bool:
        return self._driver.quiet()

    @property
    def uplink_cursor(self) -> str:
        """Where the next relay begins to read the uplink."""
        return self._uplink.after_crash

    def begin_hand_over(self) -> str:
        """Where the next relay begins to read the uplink. This relay stores where it stops, whatever the reason: the
        first entry of the next relay may mute it before it is asked to stop.
        """
        self._hands_over = True
        return self._uplink.rewound

    def hold_announcements(self, held: bool) -> None:
        """`held`: begin no further sentence, because another relay will."""
        self._driver.hold_announcements(held)

    def amended(self, record: CallRecord) -> CallRecord:
        """The record with everything that this relay knows better."""
        return self._driver.amended(record)

    def stop(self, why: str) -> None:
        if not self._over.done():
            self._over.set_result(why)

    def _lose_lease(self) -> None:
        self.stop(LEASE_LOST)

    def tick(self, now: float) -> None:
        """To be called about twenty times a second."""
        if self._over.done():
            return
        self._missed_uplink.look(now)
        try:
            self._driver.tick(now)
        except Exception:
            log.exception("relay failed", extra=fields(call_id=self.claim.call_id))
            self.stop(FAILED)

    def stamp(self) -> None:
        """Append a latency probe; to be called once a second.

        None before the voice session is ready: the previous owner speaks until our first entry.
        """
        if self._driver.ready and not self._downlink.muted and not self._over.done():
            self._downlink.append(Stamp(telemetry.now_us()))

    def mute(self, muted: bool) -> None:
        self._downlink.mute(muted)

    async def run(self) -> str:
        """Until the call is over here; returns why: `ENDED`, `LEASE_LOST`, `RELEASED` or `FAILED`."""
        uplink = self._desk.keys.uplink(self.claim.call_id)
        self._desk.reader.add(uplink, self.claim.uplink_cursor, self._uplink.on_entry)
        silence, stop = self._await_silence(), self._await_stop()
        parts = (self._hold_voice(), self._errands.run(), self.says.look(), silence, stop)
        work = _Work(*(asyncio.create_task(self._guarded(part)) for part in parts))
        why = await afterwards(self._over, partial(self._leave, work))
        return ENDED if self._ended else why

    async def _leave(self, work: _Work) -> None:
        self._desk.reader.remove(self._desk.keys.uplink(self.claim.call_id))
        noting = asyncio.create_task(self._note_stop(self._uplink.stop()))
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
        self._driver.end(ended=self._ended)
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
            log.warning("uplink stop not stored", extra=fields(call_id=self.claim.call_id, error=error.message))

    async def _let_go(self, work: _Work, noting: asyncio.Task[None]) -> None:
        work.errands.cancel()
        noting.cancel()
        await asyncio.gather(*work, noting, return_exceptions=True)
        self._downlink.close()
        await self._voice.close()

    async def _guarded(self, part: Coroutine[None, None, None]) -> None:
        try:
            await part
        except Exception:
            log.exception("relay failed", extra=fields(call_id=self.claim.call_id))
            self.stop(FAILED)

    # -- tasks
    async def _hold_voice(self) -> None:
        why = await self._voice.hold()
        if self._predecessor.speaks:
            # The previous owner serves the call better; another relay may open a voice session for it.
            self.stop(RELEASED)
        else:
            await self._errands.tell_voice_lost(why)

    async def _await_silence(self) -> None:
        """The previous owner speaks until our first entry, and before our voice session is ready there is none."""
        began = self._loop.time()
        await self._predecessor.watch()
        # It has been silent since then at the latest.
        self._driver.left_alone(began)

    async def _await_stop(self) -> None:
        """The previous owner processes caller audio until our voice session is ready; we begin where it stopped."""
        if self._uplink.gated:
            stop = await self._predecessor.stop(self._desk.leases, self.claim, lambda: self._driver.ready)
            self._uplink.release(stop)
