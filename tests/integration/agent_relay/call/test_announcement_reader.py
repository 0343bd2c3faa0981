"""Announcements from their Redis stream to Voice Live and back, with one relay and with several."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest

from bridge_common.redis.clients import RedisClients
from bridge_common.wire.audio import bytes_of_ms
from bridge_common.wire.entries import Audio, Clear, ItemEnd, Notice, Played, Playing, Say
from tests.integration.support.relay_call import Call, calls, model_target, relay_process
from tests.integration.support.scripted_voice_live import (
    Event,
    Step,
    caller_said,
    opened,
    reply,
    scripted,
    until_open,
)
from tests.support.eventually import eventually

SECOND = bytes(range(250)) * (bytes_of_ms(1000, 24_000) // 250)
TEXT = "Good morning. This is Contoso. How can I help?"
SENTENCES = ("Good morning.", "This is Contoso.", "How can I help?")
WHOLE = Say("say_1", 0, TEXT, last=True)


@pytest.fixture
async def call(clients: RedisClients) -> AsyncIterator[Call]:
    async with calls(clients) as ten:
        yield ten[0]


def asks_for(text: str) -> Callable[[Event], bool]:
    return lambda event: text in str(event.get("response", {}).get("pre_generated_assistant_message", {}))


def speaks(number: int) -> Step:
    text = SENTENCES[number]
    return Step("response.create", reply(f"resp_{number}", f"item_{number}", text, SECOND), where=asks_for(text))


async def outcomes(call: Call) -> list[str]:
    entries = [entry for _, entry in await call.store.read_transcript(call.call_id)]
    return [
        json.loads(entry.detail)["outcome"] for entry in entries if isinstance(entry, Notice) and entry.what == "say"
    ]


async def said(call: Call) -> str:
    record = await call.store.load(call.call_id)
    return record.said if record else ""


async def test_the_first_sentence_is_spoken_while_the_rest_is_written(clients: RedisClients, call: Call) -> None:
    script = opened(*(speaks(number) for number in range(3)))
    async with scripted(script) as service, relay_process(clients, model_target(service.url)):
        await call.begin()
        session = await until_open(service, 0)
        await call.attach()
        call.speak()
        await call.say(Say("say_1", 0, TEXT[:20]))
        await eventually(lambda: len(call.of(ItemEnd)) == 1, what="the first sentence sounds")
        assert session.used == 2
        await call.say(Say("say_1", 20, TEXT[20:], last=True))
        await eventually(lambda: len(call.of(ItemEnd)) == 3)
        assert b"".join(e.pcm24k for e in call.downlink if isinstance(e, Audio)) == 3 * SECOND
        for number in range(3):
            call.send(Played(f"item_{number}", 1000, True))
        await eventually(lambda: _is(call, ["spoken"]))
        assert [turn.text for turn in await call.turns()] == list(SENTENCES)
        assert await clients.control.xlen(call.keys.say(call.call_id)) == 0, "spoken text is trimmed"
        await call.end()


async def _is(call: Call, expected: list[str]) -> bool:
    return await outcomes(call) == expected


async def test_an_announcement_from_before_any_relay_listened(clients: RedisClients, call: Call) -> None:
    async with scripted(opened(speaks(0), speaks(1), speaks(2))) as service:
        await call.begin()
        await call.say(WHOLE)
        async with relay_process(clients, model_target(service.url)):
            await until_open(service, 0)
            await call.attach()
            call.speak()
            await eventually(lambda: len(call.of(ItemEnd)) == 3)
            await call.end()


async def test_a_barge_in_drops_the_rest_and_the_writer_is_notified(clients: RedisClients, call: Call) -> None:
    truncate = Step("conversation.item.truncate", where=lambda event: event["audio_end_ms"] == 420)
    script = opened(speaks(0), Step("response.create"), truncate)
    async with scripted(script) as service, relay_process(clients, model_target(service.url)):
        await call.begin()
        session = await until_open(service, 0)
        await call.attach()
        call.speak()
        await call.say(Say("say_1", 0, TEXT))
        await eventually(lambda: session.used == 3)
        call.send(Playing("item_0"))
        await session.push({"type": "input_audio_buffer.speech_started", "item_id": "item_u"})
        await eventually(lambda: call.of(Clear))
        call.send(Played("item_0", 420, False))
        (turn,) = await eventually(call.turns)
        assert (turn.text, turn.interrupted, turn.heard_ms) == ("Good", True, 420)
        await session.push(*caller_said("item_u", "Wait.")[1:])
        await eventually(lambda: _is(call, ["interrupted"]))
        added = await eventually(lambda: _refused(call), what="the writer is notified")
        assert added == "interrupted"
        await eventually(lambda: session.used == 4)
        await call.end()


async def _refused(call: Call) -> str:
    fate = (await call.says.add(call.call_id, Say("say_1", len(TEXT), " More."), most_a_minute=60)).outcome
    return "" if fate == "added" else str(fate)


async def test_when_the_relay_dies_the_next_one_goes_on_with_the_next_sentence(
    clients: RedisClients, call: Call
) -> None:
    first = opened(speaks(0), Step("response.create", where=asks_for(SENTENCES[1])))
    replayed = Step("conversation.item.create", where=lambda event: SENTENCES[0] in str(event))
    second = opened(replayed, speaks(1), speaks(2), session_id="sess_2")
    async with scripted(first, second) as service:
        async with relay_process(clients, model_target(service.url), name="relay-1") as doomed:
            await call.begin()
            session = await until_open(service, 0)
            await call.attach()
            call.speak()
            await call.say(Say("say_1", 0, TEXT))
            await eventually(lambda: session.used == 3, what="the second sentence is asked for, not spoken")
            call.send(Played("item_0", 1000, True))
            await eventually(lambda: said(call))
            await eventually(call.turns)
            await doomed.kill()
        async with relay_process(clients, model_target(service.url), name="relay-2"):
            # A lease renewal may have moved the uplink cursor past the first frame; later audio opens the line as well.
            call.speak()
            await call.say(Say("say_1", len(TEXT), "", last=True))
            await eventually(lambda: len(call.of(ItemEnd)) == 3, within_s=8)
            audio = b"".join(e.pcm24k for e in call.downlink if isinstance(e, Audio))
            assert audio == 3 * SECOND, "each sentence once"
            await call.end()


async def test_when_the_relay_dies_after_the_last_sentence_the_next_one_reports_the_outcome(
    clients: RedisClients, call: Call
) -> None:
    announcement = Say("say_1", 0, SENTENCES[0], last=True)
    replayed = Step("conversation.item.create", where=lambda event: SENTENCES[0] in str(event))
    async with scripted(opened(speaks(0)), opened(replayed, session_id="sess_2")) as service:
        async with relay_process(clients, model_target(service.url), name="relay-1") as doomed:
            await call.begin()
            await until_open(service, 0)
            await call.attach()
            call.speak()
            await call.say(announcement)
            await eventually(lambda: call.of(ItemEnd))
            await eventually(lambda: _is_trimmed(clients, call), what="the end of the text is recorded")
            assert await outcomes(call) == []
            await doomed.kill()
        async with relay_process(clients, model_target(service.url), name="relay-2"):
            await until_open(service, 1)
            call.send(Played("item_0", 1000, True))
            await eventually(lambda: _is(call, ["spoken"]), within_s=8)
            assert len(call.of(ItemEnd)) == 1, "the sentence is not repeated"
            await call.end()


async def _is_trimmed(clients: RedisClients, call: Call) -> bool:
    return await clients.control.xlen(call.keys.say(call.call_id)) == 0


async def test_a_relay_that_hands_over_leaves_the_next_sentence_to_the_next(clients: RedisClients, call: Call) -> None:
    first = opened(speaks(0))
    replayed = Step("conversation.item.create", where=lambda event: SENTENCES[0] in str(event))
    second = opened(replayed, speaks(1), speaks(2), session_id="sess_2")
    async with (
        scripted(first, second) as service,
        relay_process(clients, model_target(service.url), name="relay-1") as leaving,
    ):
        await call.begin()
        await until_open(service, 0)
        await call.attach()
        call.speak()
        await call.say(Say("say_1", 0, "Good morning. T"))
        await eventually(lambda: call.of(ItemEnd))
        call.send(Played("item_0", 1000, True))
        await eventually(call.turns)
        for holding in leaving.worker.owned_calls.values():
            assert holding.relay is not None
            holding.relay.hold_announcements(True)
        await call.say(Say("say_1", 15, TEXT[15:], last=True))
        async with relay_process(clients, model_target(service.url), name="relay-2"):
            await eventually(leaving.worker._hand_over.others_have_room, what="the other relay is known")
            await asyncio.wait_for(leaving.worker.drain(), 10)
            call.speak()
            await eventually(lambda: len(call.of(ItemEnd)) == 3, within_s=8)
            assert b"".join(e.pcm24k for e in call.downlink if isinstance(e, Audio)) == 3 * SECOND
            await call.end()
