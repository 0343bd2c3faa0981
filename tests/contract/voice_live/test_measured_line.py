"""Echo and marks on a real socket."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from lab.marks import encode_mark
from lab.voice_live.app import server_config
from lab.voice_live.settings import VoiceLiveSettings
from tests.support.eventually import eventually
from tests.support.lab_server import running
from tests.support.mark_reader import Mark, MarkReader
from tests.support.voice_live_stage import RawClient, b64, kinds, part, raw_client, tone


@asynccontextmanager
async def measured(mode: str, chunk_ms: int = 20) -> AsyncIterator[tuple[RawClient, httpx.AsyncClient]]:
    settings = VoiceLiveSettings(port=0, session_setup_s=0.0, marks_chunk_ms=chunk_ms)
    async with running(server_config(settings)) as address, httpx.AsyncClient(base_url=f"http://{address}") as lab:
        (await lab.put("/lab/agent", json={"mode": mode})).raise_for_status()
        async with raw_client(address) as client:
            await client.until("session.created")
            yield client, lab


async def test_echo_answers_each_frame_with_itself() -> None:
    async with measured("echo") as (client, _):
        frames = [tone(20, level=level) for level in (1000, 2000, 3000)]
        for frame in frames:
            await client.hear(frame)
        deltas = [await client.until("response.audio.delta") for _ in frames]
        assert [one["delta"] for one in deltas] == [b64(frame) for frame in frames]
        assert kinds(client.seen).count("response.created") == 1
        await client.tell(type="response.create")
        assert part(await client.until("error"), "error", "code") == "conversation_already_has_active_response"
        await client.tell(type="input_audio_buffer.append", audio="?")
        assert part(await client.until("error"), "error", "code") == "invalid_value"


async def test_marks_of_the_same_call_come_back_until_the_call_ends() -> None:
    async with measured("marks") as (client, lab):
        for seq in range(5):
            await client.hear(encode_mark(12, seq, 24_000))
        reader = MarkReader(24_000)
        heard: list[Mark] = []
        while len(heard) < 20:
            delta = await client.until("response.audio.delta")
            heard += reader.feed(base64.b64decode(str(delta["delta"])))
        assert [(mark.call, mark.seq) for mark in heard[:20]] == [(12, seq) for seq in range(20)]
        session_id = (await lab.get("/lab/sessions")).json()["sessions"][0]["id"]
        marks = (await lab.get(f"/lab/sessions/{session_id}/marks")).json()
        assert [row[:2] for row in marks["heard"]] == [[12, seq] for seq in range(5)]
        assert marks["sent"][0][:2] == [12, 0]
        assert marks["sent"][19][2] - marks["sent"][0][2] > 0.3
        await client.socket.close()

        async def closed() -> bool:
            return bool((await lab.get("/lab/sessions")).json()["sessions"][0]["state"] == "closed")

        await eventually(closed)
        sent = len((await lab.get(f"/lab/sessions/{session_id}/marks")).json()["sent"])
        assert len((await lab.get(f"/lab/sessions/{session_id}/marks")).json()["sent"]) == sent


async def test_marks_can_come_in_quarter_seconds() -> None:
    async with measured("marks", chunk_ms=250) as (client, _):
        for seq in range(5):
            await client.hear(encode_mark(3, seq, 24_000))
        sizes = [len(base64.b64decode(str((await client.until("response.audio.delta"))["delta"]))) for _ in range(3)]
    assert [size // 960 for size in sizes] == [12, 13, 12]


async def test_a_second_session_of_a_call_goes_on_with_other_numbers() -> None:
    async with measured("marks") as (client, lab):
        for seq in range(5):
            await client.hear(encode_mark(12, seq, 24_000))
        await client.until("response.audio.delta")
        async with raw_client(lab.base_url.netloc.decode()) as second:
            await second.until("session.created")
            for seq in range(5, 10):
                await second.hear(encode_mark(12, seq, 24_000))
            reader = MarkReader(24_000)
            heard: list[Mark] = []
            while not heard:
                delta = await second.until("response.audio.delta")
                heard += reader.feed(base64.b64decode(str(delta["delta"])))
            assert heard[0].call == 12
            assert heard[0].seq >= 1000
