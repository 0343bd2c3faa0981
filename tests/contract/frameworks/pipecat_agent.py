"""Connects a caller to pipecat's unmodified Azure Voice Live service. Runs in an environment with pipecat.

Reads the resource and the caller's audio from the environment and runs one conversation (greeting, a question that
needs a function, a barge-in). The last line of its output is the result as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.adapters.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMRunFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.azure.voice_live.llm import AzureVoiceLiveLLMService
from pipecat.workers.runner import WorkerRunner

RATE_HZ = 24_000
FRAME_BYTES = RATE_HZ // 50 * 2
WITHIN_S = 20


class Listener(FrameProcessor):
    """Last stage of the pipeline: receives the audio for the caller."""

    def __init__(self) -> None:
        super().__init__()
        self.audio_bytes = 0
        self.answers = 0
        self.interruptions = 0
        self.errors: list[str] = []
        self.changed = asyncio.Event()

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.audio_bytes += len(frame.audio)
        elif isinstance(frame, LLMFullResponseEndFrame):
            self.answers += 1
        elif isinstance(frame, InterruptionFrame):
            self.interruptions += 1
        elif isinstance(frame, ErrorFrame):
            self.errors.append(frame.error)
        self.changed.set()
        await self.push_frame(frame, direction)

    async def until(self, reached, what: str) -> None:
        try:
            async with asyncio.timeout(WITHIN_S):
                while not reached():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            sys.exit(f"not true within {WITHIN_S} s: {what}")


class Caller:
    """Sends audio in real time: silence, or the text passed to `speak`."""

    def __init__(self, worker: PipelineWorker) -> None:
        self._worker = worker
        self._words = b""

    def speak(self, pcm: bytes) -> None:
        self._words += pcm

    async def run(self) -> None:
        while True:
            audio, self._words = self._words[:FRAME_BYTES], self._words[FRAME_BYTES:]
            frame = InputAudioRawFrame(audio.ljust(FRAME_BYTES, b"\0"), RATE_HZ, 1)
            await self._worker.queue_frame(frame)
            await asyncio.sleep(0.02)


async def converse(worker, listener: Listener, words: bytes) -> None:
    caller = Caller(worker)
    speaking = asyncio.create_task(caller.run())
    try:
        await worker.queue_frame(LLMRunFrame())
        await listener.until(lambda: listener.answers == 1, "the greeting")
        caller.speak(words)
        heard = listener.audio_bytes
        await listener.until(lambda: listener.audio_bytes > heard + RATE_HZ, "half a second of the answer")
        caller.speak(words)  # Interrupt the agent (barge-in).
        answered = listener.answers
        await listener.until(lambda: listener.interruptions, "the interruption")
        await listener.until(lambda: listener.answers >= answered + 2, "the answer to the interruption")
    finally:
        speaking.cancel()
        await worker.queue_frame(EndFrame())


async def main(words: bytes) -> None:
    calls: list[object] = []

    async def find_parcel(params) -> None:
        calls.append(dict(params.arguments))
        await params.result_callback({"city": "Leipzig"})

    tool = FunctionSchema("find_parcel", "Finds a parcel", {"id": {"type": "integer"}}, ["id"], handler=find_parcel)
    context = LLMContext(tools=ToolsSchema(standard_tools=[tool]))
    aggregators = LLMContextAggregatorPair(context)
    service = AzureVoiceLiveLLMService(
        endpoint=os.environ["AZURE_VOICE_LIVE_ENDPOINT"],
        api_key=os.environ["AZURE_VOICE_LIVE_API_KEY"],
        settings=AzureVoiceLiveLLMService.Settings(
            model=os.environ["VOICE_LIVE_MODEL"], system_instruction="You work for a parcel service."
        ),
    )
    listener = Listener()
    worker = PipelineWorker(
        Pipeline([aggregators.user(), service, listener, aggregators.assistant()]),
        params=PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ),
    )

    @worker.event_handler("on_pipeline_error")
    async def on_error(_worker, frame) -> None:
        listener.errors.append(frame.error)

    runner = WorkerRunner()
    await runner.add_workers(worker)
    talking = asyncio.create_task(converse(worker, listener, words))
    await runner.run()
    await talking
    found = {
        "answers": listener.answers,
        "audio_ms": listener.audio_bytes // 2 * 1000 // RATE_HZ,
        "calls": calls,
        "context": [message for message in context.get_messages() if isinstance(message, dict)],
        "errors": listener.errors,
        "interruptions": listener.interruptions,
    }
    print(json.dumps(found, default=str))


asyncio.run(main(Path(os.environ["CALLER_PCM"]).read_bytes()))
