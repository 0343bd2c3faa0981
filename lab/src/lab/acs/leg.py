"""Drives one call: rings, connects, streams and ends it. State and timeline are in `calls`.

Order of events as recorded from ACS: answer → media socket → CallConnected and ParticipantsUpdated in one request →
MediaStreamingStarted; at the end MediaStreamingStopped → CallDisconnected.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

from lab.acs import callback_events as events
from lab.acs.acs_errors import AcsNotFoundError
from lab.acs.call_ends import CANCELED_BY_CALLER, CallEnd, HangUpForm, usual_hang_up
from lab.acs.call_lines import CallLines
from lab.acs.callback_delivery import CallbackQueue
from lab.acs.caller import Caller
from lab.acs.caller_uplink import Speech
from lab.acs.calls import CallState, Participant, SimulatedCall
from lab.acs.hold_audio import HoldAudio
from lab.acs.key_sound import key_sound
from lab.acs.media_client import MediaLink
from lab.acs.media_codec import DTMF_WORDS
from lab.acs.party_identifiers import Identifier
from lab.acs.roster import Roster
from lab.acs.shared_state import SharedState
from lab.acs.streaming import Streaming
from lab.simulator import log

_TONE_S = 0.2
_DETECTION_S = 0.04
"""From the beginning of the sound of a key until it is reported."""
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Script:
    person: Caller
    running: tuple[asyncio.Task[None], ...]


class Leg:
    """One call leg. `run` returns when the call has ended. The REST operations use the other methods. `dial` rings the
    targets of an outbound call; false if nobody answered.
    """

    def __init__(self, call: SimulatedCall, shared: SharedState, dial: Callable[[Leg], Awaitable[bool]]) -> None:
        self.call = call
        self.shared = shared
        self._dial = dial
        self.callbacks = CallbackQueue(call, shared)
        self.streaming = Streaming(call, shared, self.callbacks, self.spawn, self._open_lines)
        self.roster = Roster(call, shared, self.callbacks, self.spawn)
        self.prompt: asyncio.Task[None] | None = None
        """The running Play operation."""
        self.targeted_prompt: asyncio.Task[None] | None = None
        """The last Play operation to named participants."""
        self._link: MediaLink = self.streaming.link
        self.lines = CallLines(call, shared, self._link)
        self.follow_script()
        self.scripts: dict[str, Script] = {}
        """Scripts of the people in the call, by raw id."""
        self.held: dict[str, HoldAudio] = {}
        """Running hold audio, by raw id."""
        self._reports_end = True
        self._tasks: asyncio.TaskGroup | None = None
        self._spawned: set[asyncio.Task[None]] = set()
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
            self.lines.close()
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

    def follow_script(self) -> None:
        """Set the caller and the steps to those of the call."""
        call = self.call
        self.caller = Caller(self, call.caller, call.steps if call.audio == "script" else ())

    def connect(self) -> None:
        call = self.call
        call.answered = True
        call.participants = {party.raw_id: Participant(party) for party in (call.caller, call.app)}
        call.note("answered")
        call.become(CallState.CONNECTING)

    def end(self, end: CallEnd, *, report: bool = True) -> None:
        """End the call; no effect if it has ended already. `report`: send the callbacks of the end."""
        call = self.call
        if call.ended.is_set():
            return
        self._reports_end = report and not call.app_left
        call.end = end
        call.note("hang_up", by=end.by, reason=end.reason)
        call.become(CallState.ENDED)

    def participant(self, identifier: Identifier) -> Participant:
        """Return the participant with this identifier. Raises `AcsNotFoundError`."""
        participant = self.call.participants.get(identifier.raw_id)
        if participant is None:
            raise AcsNotFoundError("The participant was not found in the call.")
        return participant

    def hang_up_by(self, party: Identifier, form: HangUpForm | None = None) -> None:
        call = self.call
        if call.state is CallState.RINGING:
            self.end(CANCELED_BY_CALLER)
            return
        by = "caller" if party == call.caller else "party"
        form = form or (call.hang_up if by == "caller" else None) or usual_hang_up(party)
        self.take_out(party, CallEnd(by, f"{by}_hung_up", form.code, form.sub_code, form.message))

    def take_out(self, party: Identifier, end: CallEnd) -> None:
        """Take a person out of the call. If nobody is left to talk to, the call ends with `end`."""
        call = self.call
        listed = self.release(party)
        ends = party == call.caller and self.shared.forms(call).caller_leaves == "ends_call"
        if ends or len(call.participants) < 2:
            self.end(end)
            return
        call.note("left", participant=party.raw_id, by=end.by, reason=end.reason)
        self.roster.publish(removed=listed.json() if listed is not None else None)

    def release(self, party: Identifier) -> Participant | None:
        """Remove a person without any event: from the roster, with phone and script."""
        script, held = self.scripts.pop(party.raw_id, None), self.held.pop(party.raw_id, None)
        for task in script.running if script is not None else ():
            task.cancel()
        if held is not None:
            held.stop()
        self.call.continuous_dtmf.pop(party.raw_id, None)
        self.call.lines.pop(party.raw_id, None)
        return self.call.participants.pop(party.raw_id, None)

    def disconnect_app(self, end: CallEnd, *, report: bool = True) -> None:
        """End the application's part in the call; the call of the others continues. `report`: send the callbacks of
        the end.
        """
        call = self.call
        call.app_left = True
        call.participants.pop(call.app.raw_id, None)
        call.note("app_left", reason=end.reason)
        if report and call.media_state == "active":
            self.callbacks.put(events.media_streaming(call, "Stopped", "subscriptionStopped"))
        call.media_state = "inactive"
        if report:
            self.callbacks.put(events.call_disconnected(call, end))
        self.callbacks.finish()
        for line in call.lines.values():
            line.clear(time.monotonic())
        self._cut_after_transfer(end)
        self.spawn(self._link.close())

    def _cut_after_transfer(self, end: CallEnd | None) -> None:
        transferred = end is not None and end.reason == "transferred"
        if transferred and self.shared.forms(self.call).transfer_close == "cut":
            self._link.cut()

    async def press(self, tones: str, party: Identifier) -> None:
        call = self.call
        by = "caller" if party == call.caller else party.raw_id
        for tone in tones:
            call.note("dtmf", tone=tone, by=by)
            line = call.lines.get(party.raw_id)
            if self._link.key_sound and line is not None and isinstance(line.uplink, Speech):
                line.uplink.press(key_sound(tone, line.rate_hz))
                await asyncio.sleep(_DETECTION_S)
            if call.media is not None and call.media.dtmf:
                self._link.send_dtmf(tone, party)
            if party.raw_id in call.continuous_dtmf:
                self._tones += 1
                context = call.continuous_dtmf[party.raw_id] or None
                self.callbacks.put(events.tone_received(call, self._tones, DTMF_WORDS[tone], context))
            await asyncio.sleep(_TONE_S)

    async def next_tick(self) -> None:
        await self.lines.next_tick()

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
        if call.outbound and not await self._dial(self):
            return
        await asyncio.sleep(settings.media_open_delay_s)
        refused = await self._open_media()
        is_early = refused is not None and self.shared.forms(call).refused_media == "early"
        if is_early:
            self.streaming.report_start(refused)
        self.lines.open()
        call.become(CallState.CONNECTED)
        call.note("call_connected")
        self.callbacks.put(events.call_connected(call), events.participants_updated(call))
        self.scripts[call.caller.raw_id] = Script(self.caller, (self.spawn(self.caller.run()),))
        await asyncio.sleep(settings.media_started_delay_s)
        if call.media is not None and call.media.start and not is_early:
            self.streaming.report_start(refused)

    def _open_lines(self) -> None:
        self.lines.open()

    async def _open_media(self) -> str | None:
        """Open the media socket if the application's answer request asks for media streaming. Return the error or
        `None`.
        """
        media = self.call.media
        return await self.streaming.begin(media) if media is not None and media.start else None

    async def _finish(self) -> None:
        call, end = self.call, self.call.end
        for invited in call.invitations:
            if invited.open:
                invited.outcome = "call_ended"
        self.lines.close()
        forms = self.shared.forms(call)
        if end is not None and call.answered and self._reports_end:
            if call.media_state == "active":
                self.callbacks.put(events.media_streaming(call, "Stopped", "subscriptionStopped"))
            self.callbacks.put_each(events.last_events(call, end, forms.failed_create))
        call.media_state = "inactive"
        self._cut_after_transfer(end)
        await self._link.close()
        call.note("ended", reason=call.state.value if end is None else end.reason)
        log.info("call ended", extra={"call": call.id})
