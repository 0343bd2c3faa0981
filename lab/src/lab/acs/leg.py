"""Drives one call: rings, connects, streams and ends it. State and timeline are in `calls`.

Order of events as recorded from ACS: answer → media socket → CallConnected and ParticipantsUpdated in one request →
MediaStreamingStarted; at the end MediaStreamingStopped → CallDisconnected.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine

from lab.acs import callback_events as events
from lab.acs.acs_errors import AcsNotFoundError
from lab.acs.call_ends import CANCELED_BY_CALLER, CallEnd, HangUpForm, usual_hang_up
from lab.acs.callback_delivery import CallbackQueue
from lab.acs.caller import Caller
from lab.acs.caller_line import CallerLine
from lab.acs.caller_uplink import CallerEnds, CallerSays, Marks, Speech
from lab.acs.calls import CallState, Participant, SimulatedCall
from lab.acs.hearing import AgentEnds, AgentStarts, HoldToneStarts
from lab.acs.key_sound import key_sound
from lab.acs.media_client import MediaLink
from lab.acs.media_codec import DTMF_WORDS
from lab.acs.media_socket_client import SocketRefusedError
from lab.acs.noise import NoiseFloor
from lab.acs.party_identifiers import Identifier
from lab.acs.shared_state import SharedState
from lab.acs.streaming import Streaming
from lab.simulator import log

DEFAULT_RATE_HZ = 16_000
_TONE_S = 0.2
_DETECTION_S = 0.04
"""From the beginning of the sound of a key until it is reported."""
logger = logging.getLogger(__name__)


class Leg:
    """One call leg. `run` returns when the call has ended. The REST operations use the other methods."""

    def __init__(self, call: SimulatedCall, shared: SharedState) -> None:
        self.call = call
        self.shared = shared
        self.callbacks = CallbackQueue(call, shared)
        self.streaming = Streaming(call, shared, self.callbacks, self.spawn, self._open_line)
        self.prompt: asyncio.Task[None] | None = None
        """The running Play operation."""
        self._link: MediaLink = self.streaming.link
        self.caller = Caller(self)
        self._tasks: asyncio.TaskGroup | None = None
        self._spawned: set[asyncio.Task[None]] = set()
        self._tick_waiters: list[asyncio.Future[None]] = []
        self._tones = 0

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._ring()
                if not self.call.ended.is_set():
                    self.spawn(self._live())
                sender = self._tasks.create_task(self.callbacks.run())
                await self.call.ended.wait()
                for task in tuple(self._spawned):
                    task.cancel()
                await self._finish()
                self.callbacks.finish()
                await sender
        finally:
            self._tasks = None
            self.shared.ticker.leave(self._tick)
            self._link.cut()

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run `work` as a task of the call. The task is canceled when the call ends; if it fails, the error is only
        logged.
        """
        if self._tasks is None:
            work.close()
            raise RuntimeError("the call is not running")
        task = self._tasks.create_task(self._guard(work))
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)
        return task

    def connect(self) -> None:
        call = self.call
        call.answered = True
        call.participants = {party.raw_id: Participant(party) for party in (call.caller, call.app)}
        call.note("answered")
        call.become(CallState.CONNECTING)

    def end(self, end: CallEnd) -> None:
        """End the call; no effect if it has ended already."""
        call = self.call
        if call.ended.is_set():
            return
        call.end = end
        call.note("hang_up", by=end.by, reason=end.reason)
        call.become(CallState.ENDED)

    def participant(self, identifier: Identifier) -> Participant:
        """Return the participant with this identifier. Raises `AcsNotFoundError`."""
        participant = self.call.participants.get(identifier.raw_id)
        if participant is None:
            raise AcsNotFoundError("The participant was not found in the call.")
        return participant

    def hang_up_by_caller(self, form: HangUpForm | None = None) -> None:
        if self.call.state is CallState.RINGING:
            self.end(CANCELED_BY_CALLER)
            return
        form = form or self.call.hang_up or usual_hang_up(self.call.caller)
        self.end(CallEnd("caller", "caller_hung_up", form.code, form.sub_code, form.message))

    async def press(self, tones: str) -> None:
        call = self.call
        for tone in tones:
            call.note("dtmf", tone=tone, by="caller")
            if self._link.key_sound and call.line is not None and isinstance(call.line.uplink, Speech):
                call.line.uplink.press(key_sound(tone, call.line.rate_hz))
                await asyncio.sleep(_DETECTION_S)
            if call.media is not None and call.media.dtmf:
                self._link.send_dtmf(tone)
            if call.continuous_dtmf is not None:
                self._tones += 1
                context = call.continuous_dtmf or None
                self.callbacks.put(events.tone_received(call, self._tones, DTMF_WORDS[tone], context))
            await asyncio.sleep(_TONE_S)

    async def next_tick(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tick_waiters.append(waiter)
        await waiter

    async def _ring(self) -> None:
        call = self.call
        try:
            async with asyncio.timeout(call.ring_timeout_s):
                await call.decided.wait()
        except TimeoutError:
            call.note("unanswered")
            call.become(CallState.UNANSWERED)

    async def _guard(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except Exception as error:
            logger.exception("call task failed", extra={"call": self.call.id})
            self.call.note("lab_error", reason=f"{type(error).__name__}: {error}")

    async def _live(self) -> None:
        call, settings = self.call, self.shared.settings
        if call.outbound and not await self._ring_callee():
            return
        await asyncio.sleep(settings.media_open_delay_s)
        refused = await self._open_media()
        self._open_line()
        call.become(CallState.CONNECTED)
        call.note("call_connected")
        self.callbacks.put(events.call_connected(call), events.participants_updated(call))
        self.spawn(self.caller.run())
        await asyncio.sleep(settings.media_started_delay_s)
        if call.media is not None and call.media.start:
            self.streaming.report_start(refused)

    async def _open_media(self) -> str | None:
        """Open the media socket if the application's answer request asks for media streaming. Return the error or
        `None`.
        """
        media = self.call.media
        if media is None or not media.start:
            return None
        try:
            await self.streaming.open(media)
        except SocketRefusedError as error:
            return str(error)
        return None

    async def _ring_callee(self) -> bool:
        plan = self.shared.callee
        await asyncio.sleep(plan.after_s)
        if (failed := plan.failure()) is not None:
            self.end(failed)
        return failed is None

    def _open_line(self) -> None:
        """Start sending a frame every 20 ms. Called when the first media socket opens, or when the call is connected if
        there is none; later calls have no effect.
        """
        call = self.call
        if call.line is not None or call.ended.is_set():
            return
        rate_hz = call.media.rate_hz if call.media is not None else DEFAULT_RATE_HZ
        marks = call.audio == "marks"
        call.line = CallerLine(
            rate_hz,
            time.monotonic(),
            Marks(call.mark, rate_hz) if marks else Speech(rate_hz),
            threshold=self.shared.settings.sound_threshold,
            record=not marks or call.record,
            noise=None if marks else self._noise(rate_hz),
        )
        self.shared.ticker.join(self._tick)

    def _noise(self, rate_hz: int) -> NoiseFloor | None:
        """Return the line noise, or None if silence must be digital: noise is off, or silent frames are flagged."""
        settings = self.shared.settings
        if settings.noise_dbfs is None or settings.silent_flag:
            return None
        return NoiseFloor(rate_hz, settings.noise_dbfs)

    def _tick(self, now: float) -> None:
        call = self.call
        if call.line is None:
            return
        if isinstance(call.line.uplink, Marks):
            if call.media_state == "active" and not call.line.muted and not call.line.on_hold:
                self._link.send_mark(call.line.uplink)
            call.line.listen(now)
            return
        frame, changes = call.line.tick(now)
        if call.media_state == "active":
            self._link.send_frame(frame)
        for change in changes:
            match change:
                case AgentStarts(t):
                    call.note("agent_starts", t=t)
                case AgentEnds(t):
                    call.note("agent_ends", t=t)
                case HoldToneStarts(t):
                    call.note("hold_tone", t=t)
                case CallerSays(text):
                    call.note("caller_says", t=now, text=text)
                case CallerEnds(text):
                    call.note("caller_ends", t=now, text=text)
        waiters, self._tick_waiters = self._tick_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _finish(self) -> None:
        call, end = self.call, self.call.end
        self.shared.ticker.leave(self._tick)
        if end is not None and call.answered:
            if call.media_state == "active":
                self.callbacks.put(events.media_streaming(call, "Stopped", "subscriptionStopped"))
            if call.outbound and end.by == "callee":
                self.callbacks.put(events.create_call_failed(call, end))
            self.callbacks.put(events.call_disconnected(call, end))
        call.media_state = "inactive"
        await self._link.close()
        call.note("ended", reason=call.state.value if end is None else end.reason)
        log.info("call ended", extra={"call": call.id})
