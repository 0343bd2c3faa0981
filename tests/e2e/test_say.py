"""An announcement is streamed at reading speed, spoken while it is written, and interrupted by the caller."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from lab.call_checks import check_call
from lab.heard_audio import read_recording
from lab.observed_call import ObservedCall, place_call, save_recording
from lab.scenario import Agent, Reply, Scenario, ScenarioCaller, ScenarioStep
from lab.stack import API_KEY, Stack
from lab.wire import Json
from tests.support.eventually import eventually

READING_CHARACTERS_PER_S: Final = 15
SENTENCES: Final = (
    "Thank you for waiting.",
    "I have found three branches near you that repair bicycles, and all of them are open until six this evening.",
    "The first one is in Baker St. next to the station, and a repair costs 39.50 there.",
    "The second one is at the harbour, where Dr. Jones keeps two mechanics busy all day long.",
    "The third one is on the hill behind the old town hall, and it takes electric bicycles as well.",
    "Which of the three would suit you best?",
)
SCENARIO: Final = Scenario(
    name="say",
    caller=ScenarioCaller(
        number="+14255550177",
        steps=(
            ScenarioStep(wait_for="agent_ends", ms=300),
            ScenarioStep(wait_for="agent_starts", ms=8000, within_s=40),
            ScenarioStep(say="Stop, please."),
            ScenarioStep(wait_for="agent_ends", ms=500),
            ScenarioStep(hang_up=True),
        ),
    ),
    agent=Agent(greeting="Hello.", replies=(Reply(heard="Stop, please.", say="All right."),)),
)


class Writer:
    """Streams the text in one request until it is stopped. Records when each sentence was complete."""

    def __init__(self) -> None:
        self.sent_at: list[float] = []
        self.answer = ""

    async def write(self, stack: Stack, call_id: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(stack.url("call-control")).port)
        head = f"POST /api/calls/{call_id}/say HTTP/1.1\r\nHost: lab\r\nX-Api-Key: {API_KEY}\r\n"
        writer.write(f"{head}Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        answering = asyncio.create_task(_answer(reader))
        async for piece in self._pieces():
            if answering.done():
                break
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        else:
            writer.write(b"0\r\n\r\n")
        self.answer = await answering
        writer.close()

    async def _pieces(self) -> AsyncIterator[bytes]:
        for sentence in SENTENCES:
            for word in sentence.split():
                await asyncio.sleep((len(word) + 1) / READING_CHARACTERS_PER_S)  # The pace is tested here.
                yield f"{word} ".encode()
            self.sent_at.append(time.monotonic())


async def _answer(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(line.split(":")[1] for line in head.lower().splitlines() if line.startswith("content-length"))
    return head.splitlines()[0] + " " + (await reader.readexactly(int(length))).decode()


@pytest.mark.timeout(120)
async def test_a_text_is_heard_while_it_is_written_and_stops_at_a_barge_in(stack: Stack, tmp_path: Path) -> None:
    call = place_call(stack, SCENARIO)
    await eventually(lambda: _seen(call, "agent_ends"), within_s=30, every_s=0.1, what="the greeting was heard")
    call_id = str(call.record()["call_id"])
    writer = Writer()
    await writer.write(stack, call_id)
    assert "409" in writer.answer
    assert '"interrupted"' in writer.answer
    await eventually(lambda: _finished(call), within_s=30, every_s=0.1)
    await eventually(lambda: call.record().get("status") == "ended")
    call.poll()

    assert len(writer.sent_at) < len(SENTENCES), "the writer was notified before it had sent everything"
    starts, ends = call.times("phone", "agent_starts"), call.times("phone", "agent_ends")
    assert starts[1] < ends[1] < writer.sent_at[1], "the first sentence was played before the second was sent"
    assert call.times("phone", "stop_audio"), "the barge-in stopped the announcement"

    transcript = call.transcript(call_id)
    turns = [row for row in transcript if row.get("role") == "agent"]
    greeting, *spoken, answer = turns
    assert (greeting["text"], answer["text"]) == ("Hello.", "All right.")
    *whole, cut = spoken
    assert [turn["text"] for turn in whole] == list(SENTENCES[: len(whole)])
    assert cut["interrupted"]
    assert 0 < len(cut["text"]) < len(SENTENCES[len(whole)])
    assert SENTENCES[len(whole)].startswith(cut["text"])
    truncated = {row["item_id"]: row["audio_end_ms"] for row in call.voice["truncations"]}
    assert truncated == {cut["item_id"]: cut["heard_ms"]}, "the voice service has the same position"
    assert _outcome(transcript) == "interrupted"
    said = [str(row["text"]) for row in call.voice["said"]]
    assert not any(later in text for later in SENTENCES[len(spoken) + 1 :] for text in said), "the rest is not spoken"

    recording = read_recording(save_recording(call, tmp_path / "say.wav"))
    heard = [check for check in check_call(call, SCENARIO, recording, transcript) if check.claim.startswith("heard:")]
    assert len(heard) >= len(turns)
    assert [check for check in heard if not check.holds] == []


def _outcome(transcript: list[Json]) -> str:
    (row,) = [entry for entry in transcript if entry.get("what") == "say"]
    return str(json.loads(str(row["detail"]))["outcome"])


def _seen(call: ObservedCall, event: str) -> bool:
    call.poll()
    return bool(call.times("phone", event)) and bool(call.record())


def _finished(call: ObservedCall) -> bool:
    call.poll()
    return call.finished
