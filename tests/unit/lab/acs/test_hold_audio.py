from __future__ import annotations

import asyncio
import time

from lab.acs.caller_line import CallerLine
from lab.acs.caller_uplink import Speech
from lab.acs.hold_audio import HoldAudio
from tests.support.eventually import eventually

RATE_HZ = 16_000


async def test_it_plays_again_and_again_until_it_is_stopped() -> None:
    line = CallerLine(RATE_HZ, time.monotonic(), Speech(RATE_HZ), threshold=200, record=False)
    events: list[str] = []
    audio = HoldAudio(line, events.append)
    audio.pause()
    assert events == [], "it has not started"
    audio.task = asyncio.create_task(audio.run(bytes(640), 0.0))
    await eventually(lambda: events == ["HoldAudioStarted"])
    await eventually(lambda: line.prompts.queued_ms > 0)
    audio.pause()
    assert line.prompts.queued_ms == 0
    audio.resume()
    audio.resume()
    assert events == ["HoldAudioStarted", "HoldAudioPaused", "HoldAudioResumed"]
    await eventually(lambda: line.prompts.queued_ms > 0)
    audio.stop()
    await asyncio.gather(audio.task, return_exceptions=True)
    assert audio.task.cancelled()
    assert line.prompts.queued_ms == 0
