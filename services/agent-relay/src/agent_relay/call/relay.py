"""One call in this relay process, from the claim until the call ends or another relay owns it.

This module starts and stops the tasks of the call. While they run, `Driver` passes events to the conversation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from agent_relay.agents import AgentVersion
from agent_relay.call.announcement_reader import AnnouncementReader
from agent_relay.call.call_trace import CallTrace
from agent_relay.call.call_voice import CallVoice
from agent_relay.call.downlink_writer import DownlinkWriter
from agent_relay.call.driver import Driver
from agent_relay.call.missed_uplink import MissedUplink
from agent_relay.call.outbox import ForgetKey, Outbox
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
_TEARDOWN_S: Final = 1.0
"""Time limit for closing the socket and writing the transcript of a call that has ended."""


async def open_relay(context: CallContext, claim: Claim, record: CallRecord) -> Relay:
    agent = await context.versions.agent_of(record)
    conversation = await begin_conversation(context, record, agent)
    trace = CallTrace(claim, record.traceparent, shows_words=conversation.profile.keeps_transcript)
    return Relay(context, claim, record, agent, Driver(claim.call_id, conversation, trace), trace)


class _Tasks(NamedTuple):
    outbox: asyncio.Task[None]
    others: list[asyncio.Task[None]]


class Relay:
    def __init__(
        self,
        context: CallContext,
        claim: Claim,
        record: CallRecord,
        agent: AgentVersion,
        driver: Driver,
        trace: CallTrace,
    ) -> None:
        self.claim = claim
        self._agent = agent
        self._context = context
        self._driver = driver
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[str] = self._loop.create_future()
        self._ended = False
        self._hands_over = False
        self._previous_owner = PreviousOwner(
            context.fleet, claim.previous_owner, record.voice_epoch, stop_within_s=context.stop_within_s
        )
        profile = driver.profile
        self._voice = CallVoice(context.backoff, record, agent, profile, trace, driver)
        self._outbox = Outbox(
            context,
            claim,
            driver,
            self._lose_lease,
            keeps_transcript=profile.keeps_transcript,
            tools=agent.tools,
            profile_version=agent.version,
            call_reference=driver.reference,
        )
        self._downlink = DownlinkWriter(context.writer, context.keys.downlink(claim.call_id), claim, self._lose_lease)
        driver.connect(self._voice, self._outbox, self._downlink)
        self.announcements = AnnouncementReader(context, claim, driver.announcement, driver.instruct)
        self._uplink_key = context.keys.uplink(claim.call_id)
        silent_s = partial(context.reader.silent_s, self._uplink_key)
        self._missed_uplink = MissedUplink(claim.call_id, record.uplink_epoch, silent_s, self._outbox.put)
        self._uplink = UplinkReader(
            claim,
            record,
            driver,
            self._missed_uplink,
            partial(self.stop, ENDED),
            lambda entry_id: self._outbox.put(ForgetKey(entry_id)),
            resumed=was_held(record),
            gated=self._previous_owner.speaks,
        )

    @property
    def voice_session_id(self) -> str:
        return self._voice.session_id

    @property
    def voice_resource(self) -> str:
        """The Voice Live resource that stores the conversation. The next voice session should use it too."""
        return self._voice.resource

    @property
    def quiet(self) -> bool:
        return self._driver.quiet()

    @property
    def uplink_cursor(self) -> str:
        """Entry id after which the next relay reads the uplink if this relay dies."""
        return self._uplink.after_crash

    def begin_hand_over(self) -> str:
        """Start a hand-over. Return the entry id after which the next relay reads the uplink.

        From now on, this relay stores its uplink position when it stops for any reason: the first entry of the next
        relay may fence it before it is asked to stop.
        """
        self._hands_over = True
        return self._uplink.rewound

    def hold_announcements(self, held: bool) -> None:
        self._driver.hold_announcements(held)

    def amended(self, record: CallRecord) -> CallRecord:
        return replace(self._driver.amended(record), profile_version=self._agent.version)

    def stop(self, why: str) -> None:
        if not self._over.done():
            self._over.set_result(why)

    def _lose_lease(self) -> None:
        self.stop(LEASE_LOST)

    def tick(self, now: float) -> None:
        if self._over.done():
            return
        self._missed_uplink.tick(now)
        try:
            self._driver.tick(now)
        except Exception:
            log.exception("call task failed", extra=fields(call_id=self.claim.call_id))
            self.stop(FAILED)

    def stamp(self) -> None:
        """Append a latency probe to the downlink. Call it once a second.

        Nothing is appended before the voice session is ready, because the first entry of this relay ends the speech of
        the previous owner.
        """
        if self._driver.ready and not self._downlink.muted and not self._over.done():
            self._downlink.append(Stamp(telemetry.now_us()))

    def mute(self, muted: bool) -> None:
        self._downlink.mute(muted)

    async def run(self) -> str:
        """Drive the call until this relay stops. Return `ENDED`, `LEASE_LOST`, `RELEASED` or `FAILED`."""
        self._context.reader.add(self._uplink_key, self.claim.uplink_cursor, self._uplink.on_entry)
        others = (self._hold_voice(), self.announcements.look(), self._await_silence(), self._await_stop())
        outbox, *rest = [asyncio.create_task(self._guarded(task)) for task in (self._outbox.run(), *others)]
        why = await afterwards(self._over, partial(self._leave, _Tasks(outbox, rest)))
        return ENDED if self._ended else why

    async def _leave(self, tasks: _Tasks) -> None:
        self._context.reader.remove(self._uplink_key)
        storing = asyncio.create_task(self._store_stop(self._uplink.stop()))
        # Tear everything down even if the process stops meanwhile.
        await afterwards(self._find_out_end(), partial(self._end_tasks, tasks, storing))

    async def _find_out_end(self) -> None:
        """Determine whether the call has ended. A call that ends loses its lease too, and the relay may notice this
        before it reads the end of the uplink.
        """
        why = FAILED if self._over.cancelled() else self._over.result()
        if why != LEASE_LOST:
            self._ended = why == ENDED
            return
        try:
            record = await asyncio.wait_for(self._context.store.load(self.claim.call_id), _TEARDOWN_S)
        except (OutsideError, TimeoutError):
            return
        self._ended = record is not None and not record.status.live

    async def _end_tasks(self, tasks: _Tasks, storing: asyncio.Task[None]) -> None:
        self.announcements.close()
        for task in tasks.others:
            task.cancel()
        self._driver.end(ended=self._ended)
        self._outbox.finish()
        ending = asyncio.wait({tasks.outbox, *tasks.others, storing}, timeout=_TEARDOWN_S)
        await afterwards(ending, partial(self._close, tasks, storing))

    async def _close(self, tasks: _Tasks, storing: asyncio.Task[None]) -> None:
        tasks.outbox.cancel()
        storing.cancel()
        await asyncio.gather(tasks.outbox, *tasks.others, storing, return_exceptions=True)
        self._downlink.close()
        await self._voice.close()

    async def _store_stop(self, stop: UplinkStop) -> None:
        """Store the uplink position of this relay. The next relay waits for it only briefly (`stop_within_s`)."""
        if not self._hands_over:
            return
        try:
            await self._context.leases.note_stop(self.claim, stop.audio, stop.tones)
        except OutsideError as error:
            log.warning(
                "failed to store uplink position", extra=fields(call_id=self.claim.call_id, error=error.message)
            )

    async def _guarded(self, task: Coroutine[None, None, None]) -> None:
        try:
            await task
        except Exception:
            log.exception("call task failed", extra=fields(call_id=self.claim.call_id))
            self.stop(FAILED)

    # -- tasks
    async def _hold_voice(self) -> None:
        why = await self._voice.hold()
        if self._previous_owner.speaks:
            # The previous owner still serves the call, and another relay may be able to open a voice session.
            self.stop(RELEASED)
        else:
            await self._outbox.report_voice_lost(why)

    async def _await_silence(self) -> None:
        """Wait until the previous owner no longer speaks, then notify the driver. The previous owner speaks until this
        relay appends its first downlink entry, which it does only after its voice session is ready.
        """
        began = self._loop.time()
        await self._previous_owner.watch()
        # The wait of the caller, which ends in the hold tone, counts from here.
        self._driver.left_alone(began)

    async def _await_stop(self) -> None:
        """Wait until the previous owner no longer processes caller audio, then continue where it stopped. It processes
        caller audio until the voice session of this relay is ready.
        """
        if self._uplink.gated:
            stop = await self._previous_owner.stop(self._context.leases, self.claim, lambda: self._driver.ready)
            self._uplink.release(stop)
