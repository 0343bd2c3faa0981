"""One session on a real socket: pace, order, faults, expiry, and invalid input, which must not affect other
sessions.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
import websockets

from lab.speech import synthesize
from lab.voice_live.app import server_config
from lab.voice_live.settings import VoiceLiveSettings
from tests.support.eventually import eventually
from tests.support.lab_server import running
from tests.support.voice_live_stage import NEWEST, RawClient, kinds, part, raw_client, silence, tone

FAST = VoiceLiveSettings(port=0, session_setup_s=0.0, reply_delay_s=0.0, speed=0.0)
SPEECH = synthesize("Where is my order?", 24_000) + silence(800)
LONG = "This is a long answer that goes on for a good while, so that somebody can interrupt it. " * 3


@asynccontextmanager
async def talking(
    settings: VoiceLiveSettings = FAST,
    agent: Mapping[str, object] | None = None,
    faults: Mapping[str, object] | None = None,
    model: str = "gpt-4o",
) -> AsyncIterator[tuple[RawClient, httpx.AsyncClient]]:
    """Yields a client that has received `session.created`, and a client of the control API."""
    async with running(server_config(settings)) as address, httpx.AsyncClient(base_url=f"http://{address}") as lab:
        (await lab.put("/lab/agent", json=agent or {})).raise_for_status()
        (await lab.put("/lab/faults", json=faults or {})).raise_for_status()
        async with raw_client(address, f"api-version={NEWEST}&model={model}") as client:
            assert (await client.next())["type"] == "session.created"
            client.seen.clear()
            yield client, lab


async def only_session(lab: httpx.AsyncClient) -> dict[str, object]:
    listed = (await lab.get("/lab/sessions")).json()["sessions"]
    shown: dict[str, object] = (await lab.get(f"/lab/sessions/{listed[-1]['id']}")).json()
    return shown


async def test_a_native_turn_has_the_recorded_order() -> None:
    agent = {"replies": [{"heard": "Where is my order?", "say": "On its way."}]}
    async with talking(agent=agent, model="gpt-realtime") as (client, _):
        await client.tell(type="session.update", session={"input_audio_transcription": {"model": "whisper-1"}})
        await client.until("session.updated")
        client.seen.clear()
        await client.hear(SPEECH)
        await client.until("response.done")
    repeated = ("response.audio_transcript.delta", "response.audio.delta")
    order = [
        kind
        for number, kind in enumerate(kinds(client.seen))
        if kind not in repeated or number == kinds(client.seen).index(kind)
    ]
    assert order == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.created",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.created",
        "response.content_part.added",
        "response.audio_transcript.delta",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "response.audio.delta",
        "response.audio.done",
        "response.audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]


async def test_deltas_are_quarter_seconds_faster_than_real_time() -> None:
    agent = {"greeting": LONG}
    async with talking(replace(FAST, speed=20.0, reply_delay_s=0.1), agent) as (client, lab):
        asked_at = time.monotonic()
        await client.tell(type="response.create")
        await client.until("response.audio.delta")
        assert time.monotonic() - asked_at >= 0.1
        first_at = time.monotonic()
        await client.until("response.done")
        took_s = time.monotonic() - first_at
        said = (await only_session(lab))["said"]
    deltas = [str(one["delta"]) for one in client.seen if one["type"] == "response.audio.delta"]
    assert {len(delta) for delta in deltas[:-1]} == {16_000}
    assert isinstance(said, list)
    assert said[0]["text"] == LONG.strip()
    assert said[0]["bytes"] == len(synthesize(LONG, 24_000))
    assert said[0]["ms"] / 1000 / 40 < took_s < said[0]["ms"] / 1000 / 2


async def test_barge_in_stops_the_deltas_and_auto_truncates() -> None:
    async with talking(replace(FAST, speed=2.0), {"greeting": LONG}) as (client, lab):
        rules = {"type": "azure_semantic_vad", "auto_truncate": True}
        await client.tell(type="session.update", session={"turn_detection": rules})
        await client.tell(type="response.create")
        first = await client.until("response.audio.delta")
        await client.hear(tone(300))
        await client.until("response.done")
        truncated = await client.until("conversation.item.truncated")
        await client.hear(silence(800))
        await client.until("response.created")
        session = await only_session(lab)
    assert truncated["item_id"] == first["item_id"]
    assert session["truncations"] == [{"item_id": first["item_id"], "audio_end_ms": truncated["audio_end_ms"]}]
    after = kinds(client.seen)[kinds(client.seen).index("input_audio_buffer.speech_started") :]
    assert "response.audio.delta" not in after
    assert part(session, "counters", "barge_ins") == 1


async def test_text_only_and_function_calls_and_cancelling() -> None:
    agent = {"replies": [{"call": {"name": "find", "arguments": {"id": 7}}}]}
    async with talking(replace(FAST, reply_delay_s=0.05), agent) as (client, _):
        await client.tell(type="response.create", response={"modalities": ["text"], "instructions": 'Say "Good day".'})
        assert (await client.until("response.text.done"))["text"] == "Good day"
        await client.until("response.done")
        message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Order 7"}]}
        await client.tell(type="conversation.item.create", item=message)
        await client.tell(type="response.create")
        await client.tell(type="response.create", event_id="second")
        error = await client.until("error")
        assert part(error, "error", "code") == "conversation_already_has_active_response"
        assert part(error, "error", "event_id") == "second"
        call = await client.until("response.function_call_arguments.done")
        await client.until("response.done")
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "Leipzig"}
        await client.tell(type="conversation.item.create", item=output)
        await client.tell(type="response.create")
        await client.until("response.created")
        await client.tell(type="response.cancel")
        done = await client.until("response.done")
        assert part(done, "response", "status_details", "reason") == "client_cancelled"
        await client.tell(type="response.cancel")
        assert part(await client.until("error"), "error", "code") == "response_cancel_not_active"


async def test_a_small_token_limit_leaves_the_response_incomplete() -> None:
    async with talking(agent={"greeting": LONG}, model="gpt-realtime") as (client, _):
        await client.tell(type="response.create", response={"max_output_tokens": 20})
        done = await client.until("response.done")
    assert part(done, "response", "status_details") == {"type": "incomplete", "reason": "max_output_tokens"}


@pytest.mark.parametrize(
    ("fault", "details"),
    [
        ({"response_failed": {"times": 1}}, "failed"),
        ({"response_incomplete": {"times": 1}}, "incomplete"),
    ],
)
async def test_injected_endings_happen_once(fault: dict[str, object], details: str) -> None:
    async with talking(faults=fault) as (client, _):
        for expected in (details, "completed"):
            await client.tell(type="response.create")
            assert part(await client.until("response.done"), "response", "status") == expected


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        ("text", ["response.text.delta", "response.text.done"]),
        ("transcript", ["response.audio_transcript.delta", "response.audio.done", "response.audio_transcript.done"]),
        ("empty", []),
    ],
)
async def test_a_response_without_audio(form: str, sent: list[str]) -> None:
    async with talking(faults={"response_silent": {"form": form, "times": 1}}) as (client, _):
        await client.tell(type="response.create")
        done = await client.until("response.done")
        assert part(done, "response", "status") == "completed"
        about_words = [kind for kind in kinds(client.seen) if kind.startswith(("response.text", "response.audio"))]
        assert list(dict.fromkeys(about_words)) == sent
        assert bool(part(done, "response", "output")) is (form != "empty")
        await client.tell(type="response.create")
        await client.until("response.audio.delta")


@pytest.mark.parametrize("created", ["early", "late"])
async def test_a_response_that_takes_long(created: str) -> None:
    async with talking(faults={"response_slow": {"delay_s": 0.3, "created": created, "times": 1}}) as (client, _):
        asked_at = time.monotonic()
        await client.tell(type="response.create")
        await client.tell(type="input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        assert ("response.created" in kinds(client.seen)) is (created == "early")
        await client.until("response.output_item.added")
        assert time.monotonic() - asked_at >= 0.3
        assert kinds(client.seen).count("response.created") == 1
        await client.until("response.audio.delta")


async def test_a_slow_response_can_be_cancelled() -> None:
    async with talking(faults={"response_slow": {"delay_s": 600}}) as (client, _):
        await client.tell(type="response.create")
        await client.until("response.created")
        await client.tell(type="response.cancel")
        assert part(await client.until("response.done"), "response", "status") == "cancelled"


@pytest.mark.parametrize("form", ["done", "both"])
async def test_a_spent_quota(form: str) -> None:
    quota = {"code": "rate_limit_exceeded", "type": "tokens", "message": "Please try again in 3s.", "form": form}
    async with talking(faults={"response_failed": {**quota, "times": 1}}) as (client, _):
        await client.tell(type="response.create", event_id="mine")
        done = await client.until("response.done")
        error = {key: quota[key] for key in ("type", "code", "message")}
        assert part(done, "response", "status_details", "error") == error
        errors = [one["error"] for one in client.seen if one["type"] == "error"]
        assert errors == ([{**error, "param": None, "event_id": None}] if form == "both" else [])
        await client.tell(type="response.create")
        await client.until("response.audio.delta")


async def test_a_stalled_session_sends_nothing_more() -> None:
    faults = {"stall": {"after_ms": 500, "times": 1}}
    async with talking(agent={"greeting": LONG}, faults=faults) as (client, lab):
        await client.tell(type="response.create")
        await client.until("response.audio.delta")
        await client.until("response.audio.delta")
        await eventually(lambda: has_event(lab, "stalled"))
        await client.tell(type="input_audio_buffer.clear")
        await eventually(lambda: has_event(lab, "cleared"))
        await client.socket.close()
        left = [message async for message in client.socket]
    assert left == []


async def has_event(lab: httpx.AsyncClient, kind: str) -> bool:
    timeline = (await only_session(lab))["timeline"]
    assert isinstance(timeline, list)
    return any(row["event"] == kind for row in timeline)


async def test_the_session_expires() -> None:
    async with talking(replace(FAST, session_max_s=0.1)) as (client, _):
        assert part(await client.until("error"), "error", "code") == "session_expired"
        with pytest.raises(websockets.ConnectionClosed):
            await client.next()
        assert (client.socket.close_code, client.socket.close_reason) == (1001, "session_expired")


@pytest.mark.parametrize(
    ("fault", "code"),
    [({"drop": {"after_s": 0.05}}, 1006), ({"close": {"after_s": 0.05, "code": 1011, "reason": "x"}}, 1011)],
)
async def test_connections_can_be_made_to_end(fault: dict[str, object], code: int) -> None:
    async with talking(faults=fault) as (client, lab):
        with pytest.raises(websockets.ConnectionClosed):
            await client.next()
        assert client.socket.close_code == code
        await eventually(lambda: session_ended(lab))
        assert (await only_session(lab))["close_code"] == code


async def session_ended(lab: httpx.AsyncClient) -> bool:
    return (await only_session(lab))["state"] == "closed"


async def test_delays_and_odd_events_can_be_injected() -> None:
    faults = {"session_updated": {"delay_s": 0.1}, "odd_events": {}}
    async with talking(faults=faults) as (client, _):
        sent_at = time.monotonic()
        await client.tell(type="session.update", session={})
        await client.until("session.updated")
        assert time.monotonic() - sent_at >= 0.1
        assert (await client.next())["type"] == "warning"
        await client.tell(type="response.create")
        await client.until("foo.bar")
        await client.until("response.done")


async def test_bad_messages_get_errors_and_the_socket_stays() -> None:
    async with talking() as (client, lab):
        bad: list[str | bytes] = [
            "{",
            "[]",
            '{"type": 1}',
            b"\xff",
            '{"type": "x"}',
            '{"type": "input_audio_buffer.append", "audio": 1}',
        ]
        for message in bad:
            await client.socket.send(message)
            assert (await client.next())["type"] == "error"
        await client.socket.send(b'{"type": "input_audio_buffer.clear"}')
        assert (await client.next())["type"] == "input_audio_buffer.cleared"
        assert part(await only_session(lab), "counters", "errors") == len(bad)


async def test_any_message_at_all_is_survived() -> None:
    chance = random.Random(7)
    real = b'{"type": "session.update", "session": {"turn_detection": {"type": "server_vad", "threshold": 0.5}}}'
    async with talking() as (client, _):
        for _ in range(300):
            message = bytearray(real)
            for _ in range(chance.randint(1, 6)):
                at = chance.randrange(len(message))
                message[at : at + chance.randint(0, 4)] = chance.randbytes(chance.randint(0, 3))
            await client.socket.send(bytes(message))
        await client.tell(type="input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
    assert {"error", "input_audio_buffer.cleared"} <= set(kinds(client.seen))


async def test_fifteen_mebibytes_of_audio_are_accepted_at_once() -> None:
    async with talking() as (client, lab):
        await client.tell(type="session.update", session={"turn_detection": None})
        await client.hear(bytes(15 * 2**20))
        await client.tell(type="input_audio_buffer.commit")
        await client.until("input_audio_buffer.committed")
        turns = (await only_session(lab))["user_turns"]
    assert isinstance(turns, list)
    assert turns[0]["end_ms"] == 15 * 2**20 // 48


async def test_many_sessions_answer_at_once() -> None:
    settings = replace(FAST, reply_delay_s=0.05, speed=8.0)
    async with running(server_config(settings)) as address:

        async def one_call() -> float:
            async with raw_client(address) as client:
                await client.until("session.created")
                await client.hear(SPEECH)
                await client.until("input_audio_buffer.speech_stopped")
                stopped_at = time.monotonic()
                await client.until("response.audio.delta")
                first_after_s = time.monotonic() - stopped_at
                await client.until("response.done")
                return first_after_s

        delays = await asyncio.gather(*(one_call() for _ in range(20)))
    assert max(delays) < 2.0
