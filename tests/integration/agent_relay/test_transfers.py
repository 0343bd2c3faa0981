"""A caller is transferred to a person, with the simulated Voice Live."""

from __future__ import annotations

from typing import Any, Final

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.protocol.transfer_profile import Confirmation, TransferProfile
from bridge_common.redis.clients import RedisClients
from bridge_common.wire.action_kinds import RETURN_TO_AGENT
from bridge_common.wire.entries import Audio, Clear, Dtmf, Listen, MediaAttached, MediaDetached
from tests.integration.support.relay_call import relay_process
from tests.integration.support.relay_line import GREETING, Line, model
from tests.integration.support.transferred_call import (
    acts,
    instruct,
    latest,
    screenings,
    steps,
    until_equal,
    until_step,
    until_tone,
    words_over,
)
from tests.support.eventually import eventually

CALLER: Final = "4:+14255550100"
ANNOUNCES: Final = "I am connecting you now."
AGENT: Final[dict[str, Any]] = {
    "mode": "script",
    "greeting": GREETING,
    "replies": [
        {
            "heard": "Connect me, please.",
            "call": {"name": "transfer_call", "arguments": {"target": "sales", "topic": "an order", "summary": ""}},
            "say": ANNOUNCES,
        },
        {"heard": "Yes, gladly.", "say": "Nobody hears this."},
    ],
}
TRANSFER: Final = TransferProfile(
    targets={"sales": "Orders"}, introduction="A call about {topic}.", return_key="*", hears="all"
)


def profile(transfer: TransferProfile = TRANSFER) -> AgentProfile:
    return AgentProfile(greeting=Greeting(say_how="Greet."), actions=("transfer_call",), transfer=transfer)


async def begins(line: Line) -> str:
    """The agent requests the transfer and announces it. Return the id of its action."""
    await line.begin(agent=AGENT)
    await line.hears()
    await line.asks()
    await eventually(lambda: acts(line.call))
    [act] = await acts(line.call)
    assert (act.action, act.by) == ("transfer", "agent")
    return act.action_id


async def waits(line: Line) -> str:
    action_id = await begins(line)
    await line.hears()
    await until_equal(lambda: words_over(line.call), [(action_id, "heard")])
    await instruct(line.call, "connecting", action_id, interruptible=True, name="sales")
    await instruct(line.call, "waiting", action_id, name="sales")
    await until_tone(line.call, on=True)
    return action_id


async def items(line: Line) -> list[dict[str, Any]]:
    [one] = await line.sessions()
    session = await line.voice_live.get(f"/lab/sessions/{one['id']}")
    found = session["items"]
    assert isinstance(found, list)
    return found


async def heard_turns(line: Line) -> int:
    return len(await line.timeline("speech_started"))


async def test_a_transfer_from_the_request_to_the_return(clients: RedisClients, line: Line) -> None:
    async with relay_process(clients, model(line.voice_live), profile=profile()):
        action_id = await waits(line)
        turns = await heard_turns(line)
        await line.asks()
        await instruct(line.call, "screening", action_id, name="sales")
        await line.hears()
        await until_equal(lambda: screenings(line.call), [(action_id, "confirmed")])
        await until_tone(line.call, on=False)
        await instruct(line.call, "bridged", action_id, name="sales")
        await eventually(lambda: latest(line.call, Listen) == Listen("caller", bridged=True))
        await line.asks()
        line.call.send(Dtmf("*", CALLER), Dtmf("*", CALLER))
        asked = await eventually(lambda: _asks_back(line), what="the caller wants the agent back")
        assert asked == 1
        assert await heard_turns(line) == turns, "the agent heard nobody"
        line.call.send(MediaDetached("lost"), MediaAttached(16000))
        selected = [Listen("caller"), *[Listen("caller", bridged=True)] * 2]
        await eventually(lambda: line.call.of(Listen) == selected)
        await instruct(line.call, "returned", action_id, name="sales", reason="requested", joined=True)
        await line.hears()
        await eventually(lambda: latest(line.call, Listen) == Listen("caller"))
        texts = [item["text"] for item in await items(line)]
        told = next(number for number, text in enumerate(texts) if "asked to talk to you again" in text)
        assert texts[told + 1 :] == ["Understood."], "the agent speaks after it has learned the reason"
        await line.asks()
        await line.hears()
        assert await steps(line.call) == ["connecting", "waiting", "screening", "confirmed", "bridged", "returned"]
        await line.call.end()


async def _asks_back(line: Line) -> int:
    return sum(act.action == RETURN_TO_AGENT for act in await acts(line.call))


async def test_the_caller_interrupts_the_announcement_and_keeps_the_agent(clients: RedisClients, line: Line) -> None:
    async with relay_process(clients, model(line.voice_live), profile=profile()):
        action_id = await begins(line)
        await line.begins_to_hear()
        await line.asks()
        await until_equal(lambda: words_over(line.call), [(action_id, "interrupted")])
        await eventually(lambda: line.call.of(Clear))
        await line.hears()
        assert line.call.of(Listen) == []
        await line.call.end()


async def test_a_word_of_the_person_takes_the_call_and_no_answer_to_it_is_heard(
    clients: RedisClients, line: Line
) -> None:
    words = TransferProfile(targets={"sales": "Orders"}, confirm=Confirmation(words=("yes",), text="Say yes."))
    async with relay_process(clients, model(line.voice_live), profile=profile(words)):
        action_id = await waits(line)
        await instruct(line.call, "screening", action_id, name="sales")
        await eventually(lambda: latest(line.call, Listen) == Listen("others"))
        await line.hears()
        audio, turns = len(line.call.of(Audio)), await heard_turns(line)

        async def taken() -> bool:
            await line.asks()  # the relay withholds the beginning, until the question was heard
            return await screenings(line.call) == [(action_id, "confirmed")]

        await eventually(taken, what="the call is taken")
        assert await heard_turns(line) > turns
        await until_step(line.call, "confirmed")

        async def canceled() -> bool:
            return any(row["status"] == "cancelled" for row in await line.timeline("response_done"))

        await eventually(canceled, what="the answer that the service began by itself is canceled")
        assert len(line.call.of(Audio)) == audio
        assert "Yes, gladly." not in [turn.text for turn in await line.call.turns()]
        await line.call.end()


@pytest.mark.parametrize("reason", ["busy", "no_answer"])
async def test_the_agent_comes_back_when_nobody_takes_the_call(clients: RedisClients, line: Line, reason: str) -> None:
    async with relay_process(clients, model(line.voice_live), profile=profile()):
        action_id = await waits(line)
        await instruct(line.call, "returned", action_id, name="sales", reason=reason)
        await line.hears()
        await until_tone(line.call, on=False)
        await until_step(line.call, "returned")
        await line.call.end()
