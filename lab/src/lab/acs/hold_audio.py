"""Audio that ACS plays to one party on hold, again and again; a prompt to the party pauses it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from lab.acs.caller_line import CallerLine


class HoldAudio:
    """`report(event)` is called with HoldAudioStarted, HoldAudioPaused and HoldAudioResumed."""

    def __init__(self, line: CallerLine, report: Callable[[str], None]) -> None:
        self.line = line
        self.task: asyncio.Task[None] | None = None
        """The task that runs `run`."""
        self._report = report
        self._playing = asyncio.Event()
        self._started = False

    async def run(self, pcm: bytes, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self._started = True
        self._playing.set()
        self._report("HoldAudioStarted")
        while pcm:
            await self._playing.wait()
            self.line.prompts.add(pcm, time.monotonic())
            await asyncio.sleep(self.line.prompts.queued_ms / 1000)

    def pause(self) -> None:
        if self._started and self._playing.is_set():
            self._playing.clear()
            self.line.prompts.clear(time.monotonic())
            self._report("HoldAudioPaused")

    def resume(self) -> None:
        if self._started and not self._playing.is_set():
            self._playing.set()
            self._report("HoldAudioResumed")

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
        self.line.prompts.clear(time.monotonic())
