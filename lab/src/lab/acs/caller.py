"""Runs the script of a person in the call: speak, press keys, wait for the agent, hang up. Waits advance in frames of
20 ms.
"""

from __future__ import annotations

import asyncio
import io
import time
import wave
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr

from lab.acs.caller_line import CallerLine
from lab.acs.caller_uplink import Utterance
from lab.acs.calls import SimulatedCall
from lab.acs.hearing import BLOCK_MS
from lab.acs.party_identifiers import Identifier
from lab.scenario import ScenarioStep
from lab.speech import synthesize


class CallerLeg(Protocol):
    """The members of `Leg` that a person uses."""

    call: SimulatedCall

    async def press(self, tones: str, party: Identifier) -> None: ...

    async def next_tick(self) -> None: ...

    def hang_up_by(self, party: Identifier) -> None: ...


class Waiting:
    """Decides when a `wait_for` step is complete, from the audio heard since it began. No I/O.

    For `agent_ends`, speech that is playing when the step begins counts, but earlier speech does not: otherwise the
    wait after an utterance of the caller would end before the agent responds.
    """

    def __init__(self, step: ScenarioStep, line: CallerLine) -> None:
        self._kind = step.wait_for
        self._ms = float(step.ms)
        self._hearing = line.hearing
        self._sound_before_ms = line.hearing.sound_ms
        self._was_speaking = line.agent_speaks

    def over(self, waited_ms: float) -> bool:
        hearing = self._hearing
        sound_ms = hearing.sound_ms - self._sound_before_ms
        match self._kind:
            case "agent_starts":
                return sound_ms > 0 and sound_ms >= self._ms
            case "agent_ends":
                return (sound_ms > 0 or self._was_speaking) and hearing.quiet_ms >= max(self._ms, BLOCK_MS)
            case _:
                return min(hearing.quiet_ms, waited_ms) >= self._ms


class Caller:
    """Runs the steps of the caller, or of another person in the call. A wait that exceeds `within_s` is recorded in the
    timeline and skipped.
    """

    def __init__(self, leg: CallerLeg, party: Identifier, steps: Iterable[ScenarioStep]) -> None:
        self._leg = leg
        self._party = party
        self._steps = deque(steps)
        self._taken = 0

    @property
    def remaining(self) -> tuple[ScenarioStep, ...]:
        """The steps that have not begun."""
        return tuple(self._steps)

    async def run(self) -> None:
        while self._steps:
            step = self._steps.popleft()
            try:
                await self._take(step)
            except (OSError, ValueError, wave.Error) as error:
                self._leg.call.note("step_failed", step=self._taken, reason=f"{type(error).__name__}: {error}")
            self._taken += 1

    async def say(self, text: str) -> Utterance:
        """Queue `text` as speech, after the utterances that are already queued."""
        line = self._line()
        return line.say(await asyncio.to_thread(synthesize, text, line.rate_hz), text)

    async def _take(self, step: ScenarioStep) -> None:
        if step.say is not None:
            await self._spoken(await self.say(step.say))
        elif step.play is not None:
            line = self._line()
            content = await asyncio.to_thread(Path(step.play).read_bytes)
            await self._spoken(line.say(decode_wav(content, line.rate_hz), f"[{step.play}]"))
        elif step.dtmf is not None:
            await self._leg.press(step.dtmf, self._party)
        elif step.wait_for is not None:
            await self._wait(step)
        elif step.pause_ms is not None:
            await self._pause(step.pause_ms / 1000)
        elif step.hang_up:
            self._leg.hang_up_by(self._party)

    async def _spoken(self, utterance: Utterance) -> None:
        while not utterance.finished:
            await self._leg.next_tick()

    async def _wait(self, step: ScenarioStep) -> None:
        waiting, began = Waiting(step, self._line()), time.monotonic()
        while not waiting.over((time.monotonic() - began) * 1000):
            if time.monotonic() - began > step.within_s:
                self._leg.call.note("wait_expired", wait_for=step.wait_for, within_s=step.within_s)
                return
            await self._leg.next_tick()

    async def _pause(self, duration_s: float) -> None:
        until = time.monotonic() + duration_s
        while time.monotonic() < until:
            await self._leg.next_tick()

    def _line(self) -> CallerLine:
        line = self._leg.call.phones.get(self._party.raw_id)
        if line is None:
            raise ValueError("the call is not connected yet; retry when it is")
        return line


def decode_wav(content: bytes, rate_hz: int) -> bytes:
    """Return PCM16LE mono at `rate_hz` from a 16-bit WAV of any rate; only the first channel is used."""
    with wave.open(io.BytesIO(content)) as reader:
        if reader.getsampwidth() != 2:
            raise ValueError(f"a WAV file must have 16-bit samples, got {reader.getsampwidth() * 8}-bit samples")
        samples = np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2")
        mono = samples.reshape(-1, reader.getnchannels())[:, 0]
        if reader.getframerate() != rate_hz:
            mono = soxr.resample(mono, reader.getframerate(), rate_hz)
    return np.asarray(mono, dtype="<i2").tobytes()
