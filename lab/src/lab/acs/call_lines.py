"""The phones of the people in one call: every 20 ms each speaks and listens, and the media socket gets their frames."""

from __future__ import annotations

import asyncio
import time

from lab.acs.caller_line import CallerLine, Change
from lab.acs.caller_uplink import Audio, CallerEnds, CallerSays, Marks, Speech
from lab.acs.calls import SimulatedCall
from lab.acs.hearing import AgentEnds, AgentStarts, HoldToneStarts
from lab.acs.media_client import MediaLink
from lab.acs.noise import NoiseFloor
from lab.acs.party_identifiers import Identifier
from lab.acs.room import share_voices
from lab.acs.shared_state import SharedState

DEFAULT_RATE_HZ = 16_000


class CallLines:
    def __init__(self, call: SimulatedCall, shared: SharedState, link: MediaLink) -> None:
        self._call = call
        self._shared = shared
        self._link = link
        self._tick_waiters: list[asyncio.Future[None]] = []

    def open(self) -> None:
        """Start sending a frame every 20 ms. Called when the first media socket opens, or when the call is connected if
        there is none; later calls have no effect.
        """
        call = self._call
        if call.line is not None or call.ended.is_set():
            return
        self.add(call.caller, call.audio, call.mark, record=call.record)
        self._shared.ticker.join(self._tick)

    def close(self) -> None:
        self._shared.ticker.leave(self._tick)

    def add(self, party: Identifier, audio: Audio, mark: int, *, record: bool = False) -> None:
        """Give a person in the call a phone. `record`: record it even if the person sends marks."""
        call = self._call
        rate_hz = call.media.rate_hz if call.media is not None else DEFAULT_RATE_HZ
        marks = audio == "marks"
        call.phones[party.raw_id] = call.lines[party.raw_id] = CallerLine(
            rate_hz,
            time.monotonic(),
            Marks(mark, rate_hz) if marks else Speech(rate_hz),
            threshold=self._shared.settings.sound_threshold,
            record=not marks or record,
            noise=None if marks else self._noise(rate_hz),
        )

    async def next_tick(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tick_waiters.append(waiter)
        await waiter

    def _noise(self, rate_hz: int) -> NoiseFloor | None:
        """Return the line noise, or None if silence must be digital: noise is off, or silent frames are flagged."""
        settings = self._shared.settings
        if settings.noise_dbfs is None or settings.silent_flag:
            return None
        return NoiseFloor(rate_hz, settings.noise_dbfs)

    def _tick(self, now: float) -> None:
        call = self._call
        sends = call.media_state == "active" and call.media_suspended != "stops"
        line = call.line
        if line is not None and isinstance(line.uplink, Marks) and [*call.lines.values()] == [line]:
            if sends and not line.stopped:
                self._link.send_mark(line.uplink)
            line.listen(now)
            return
        forms = self._shared.forms(call)
        for raw_id, one in tuple(call.lines.items()):
            one.prompt_form = forms.play_with_stream
            _, changes = one.tick(now)
            for change in changes:
                self._note(change, raw_id, now)
        if len(call.lines) > 1:
            share_voices(call.lines, hold_scope=forms.hold_scope)
        if sends:
            self._link.send_frames(now)
        waiters, self._tick_waiters = self._tick_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _note(self, change: Change, raw_id: str, now: float) -> None:
        """Add a change on the line of the caller, or of the named participant, to the timeline."""
        note, caller = self._call.note, raw_id == self._call.caller.raw_id
        match change:
            case AgentStarts(t) if caller:
                note("agent_starts", t=t)
            case AgentEnds(t) if caller:
                note("agent_ends", t=t)
            case HoldToneStarts(t) if caller:
                note("hold_tone", t=t)
            case CallerSays(text) if caller:
                note("caller_says", t=now, text=text)
            case CallerEnds(text) if caller:
                note("caller_ends", t=now, text=text)
            case AgentStarts(t):
                note("participant_hears_agent", t=t, participant=raw_id)
            case AgentEnds(t):
                note("participant_hears_agent_end", t=t, participant=raw_id)
            case HoldToneStarts(t):
                note("participant_hears_hold_tone", t=t, participant=raw_id)
            case CallerSays(text):
                note("participant_says", t=now, text=text, participant=raw_id)
            case CallerEnds(text):
                note("participant_ends", t=now, text=text, participant=raw_id)
