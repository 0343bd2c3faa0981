"""Noise that the service takes for speech needs no answer, but agent speech that it cut off is repeated.

Each fault of the simulated Voice Live is played in each variant of the protocol.
"""

from __future__ import annotations

import dataclasses

import pytest

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.entries import Clear, Played
from lab.voice_live.agent_script import AFTER_THE_SCRIPT
from tests.integration.support.relay_call import calls, relay_process
from tests.integration.support.relay_line import (
    AGAIN,
    FAST,
    FIRST,
    GREETING,
    NEVER,
    ONCE,
    PROFILE,
    SECOND,
    SHORT,
    Line,
    line_on,
    model,
    responses_begun,
    text_of,
)
from tests.support.eventually import eventually
from tests.support.simulators import simulator


async def test_a_noise_needs_no_answer(clients: RedisClients, line: Line) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=SHORT):
        await line.begin()
        await line.hears()
        await line.now(no_words=ONCE)
        await line.asks()
        await eventually(lambda: line.timeline("no_words"))
        await line.asks()
        await line.hears()
        assert len(await line.timeline("response_created")) == 2
        await line.ends(GREETING, FIRST, overdue=[])


@pytest.mark.parametrize("transcription", ["never", "failed"])
async def test_speech_without_a_response_is_answered(clients: RedisClients, line: Line, transcription: str) -> None:
    """Speech without a transcript may have been words."""
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=SHORT):
        await line.begin()
        await line.hears()
        await line.now(no_words={"transcription": transcription, **ONCE})
        await line.asks()
        await line.hears()
        await line.asks()
        await line.hears()
        await line.ends(GREETING, AFTER_THE_SCRIPT, FIRST, overdue=[("words", AGAIN)])


@pytest.mark.parametrize("transcription", ["never", "failed"])
@pytest.mark.parametrize("native", [False, True])
async def test_an_answer_before_the_transcript_is_not_requested_again(
    clients: RedisClients, line: Line, transcription: str, native: bool
) -> None:
    """The model hears the audio itself. A native model begins its answer before the transcription has failed."""
    target = dataclasses.replace(model(line.voice_live), model="gpt-realtime" if native else "gpt-4.1")
    async with relay_process(clients, target, profile=PROFILE, limits=SHORT):
        await line.begin()
        await line.hears()
        await line.now(no_words={"transcription": transcription, "responds": True, **ONCE})
        await line.asks()
        await line.hears()
        await line.asks()
        await line.hears()
        assert len(await line.timeline("response_created")) == 3
        await line.ends(GREETING, FIRST, SECOND, overdue=[])


async def test_a_failed_answer_without_a_transcript_is_requested_again(clients: RedisClients, line: Line) -> None:
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=SHORT):
        await line.begin()
        await line.hears()
        await line.now(
            no_words={"transcription": "failed", "responds": True, **ONCE},
            response_silent={"form": "empty", **ONCE},
        )
        await line.asks()
        await line.hears()
        found = await line.overdue()
        assert found == [("words", AGAIN)]
        await line.call.end()


@pytest.mark.parametrize("speed", ["0", "2"])
@pytest.mark.parametrize("transcription", ["completed", "failed"])
async def test_an_answer_that_a_noise_cut_off_is_continued(
    clients: RedisClients, transcription: str, speed: str
) -> None:
    """With `speed` 0, the complete answer has arrived and is playing; with 2, the noise cancels its response."""
    async with (
        simulator("voice-live", **FAST, SPEED=speed) as voice_live,
        calls(clients) as ten,
        relay_process(clients, model(voice_live), profile=PROFILE),
    ):
        line = await line_on(ten[0], voice_live)
        await line.begin()
        await line.hears()
        await line.asks()
        cut_off = await line.begins_to_hear()
        await line.now(no_words={"transcription": transcription, **ONCE})
        await line.asks()
        await eventually(lambda: line.call.of(Clear))
        line.call.send(Played(cut_off, 300, False))
        await line.hears()
        part = await eventually(lambda: text_of(line, cut_off))
        assert FIRST.startswith(part)
        assert part != FIRST
        (overdue,) = await line.overdue()
        # The gateway may report what was heard before or after the service reports the noise.
        assert overdue in (("rest", "resumed"), ("words", "resumed"))
        await line.ends(GREETING, part, FIRST, overdue=[overdue])


@pytest.mark.parametrize(
    ("transcription", "outcome"), [("completed", "resumed"), ("failed", "resumed"), ("never", AGAIN)]
)
async def test_a_noise_while_the_agent_works_loses_no_answer(
    clients: RedisClients, line: Line, transcription: str, outcome: str
) -> None:
    """The noise cancels the response before any audio of it was heard."""
    async with relay_process(clients, model(line.voice_live), profile=PROFILE, limits=SHORT):
        await line.begin()
        await line.hears()
        await line.now(response_slow={**NEVER, **ONCE})
        await line.asks()
        await eventually(lambda: responses_begun(line, 2))
        await line.now(no_words={"transcription": transcription, **ONCE})
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, overdue=[("words", outcome)])


@pytest.mark.parametrize("transcription", ["completed", "failed"])
async def test_an_older_transcript_during_a_noise_loses_no_answer(
    clients: RedisClients, line: Line, transcription: str
) -> None:
    """A native model's transcript of the question comes late: here, when the noise cancels the response."""
    native = dataclasses.replace(model(line.voice_live), model="gpt-realtime")
    async with relay_process(clients, native, profile=PROFILE, limits=SHORT):
        await line.begin()
        await line.hears()
        await line.now(response_slow={**NEVER, **ONCE})
        await line.asks()
        await eventually(lambda: responses_begun(line, 2))
        await line.now(no_words={"transcription": transcription, **ONCE})
        await line.asks()
        await line.hears()
        await line.ends(GREETING, FIRST, overdue=[("words", "resumed")])
