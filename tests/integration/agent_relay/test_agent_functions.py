"""A function call of a Foundry agent, in each form that Voice Live may play: the call survives.

Whether Voice Live hands such a call to its client is not known. The simulator plays the four forms.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from agent_relay.core.protocol.agent_profile import AgentProfile, Greeting
from agent_relay.core.protocol.voice_target import TokenScope
from bridge_common.auth.entra_tokens import Tokens
from bridge_common.redis.clients import RedisClients
from lab.tool_checks import ObservedToolCall, tool_uses
from tests.integration.support.relay_call import RelayProcess, agent_target, relay_process
from tests.integration.support.relay_line import AGAIN, FALLBACK, GREETING, SECOND, SHORT, Line
from tests.support.simulators import Simulator

DONE: Final = "I have noted it."
NOTE: Final = {"name": "add_note", "arguments": {"text": "calls again"}}
UNKNOWN: Final = {"name": "look_up", "arguments": {}}
PROFILE: Final = AgentProfile(
    greeting=Greeting(say_how="Greet the caller."), fallback_text=FALLBACK, actions=("add_note",)
)


def agent(call: dict[str, Any], say: str = DONE) -> dict[str, Any]:
    replies = [{"heard": "Note this.", "call": call, "say": say}, {"heard": "Which street?", "say": SECOND}]
    return {"mode": "script", "greeting": GREETING, "replies": replies}


@pytest.fixture
async def relay(clients: RedisClients, line: Line, identity: Simulator) -> AsyncIterator[RelayProcess]:
    tokens = Tokens({TokenScope.AI: "https://ai.azure.com/.default"})
    target = agent_target(line.voice_live.url)
    async with relay_process(clients, target, profile=PROFILE, tokens=tokens, limits=SHORT) as process:
        yield process
    await tokens.aclose()


async def uses(line: Line) -> list[tuple[str, str]]:
    sessions = [await line.voice_live.get(f"/lab/sessions/{one['id']}") for one in await line.sessions()]
    found: list[ObservedToolCall] = tool_uses(sessions)
    return [(use.name, use.outcome) for use in found]


async def calls_a_function(line: Line, form: str, call: dict[str, Any] = NOTE, say: str = DONE) -> None:
    await line.begin(agent=agent(call, say), agent_function={"form": form})
    await line.hears()
    await line.asks()
    await line.hears()


async def goes_on(line: Line) -> None:
    await line.asks()
    await line.hears()


@pytest.mark.usefixtures("relay")
async def test_a_stalled_call_ends_in_the_fallback_text(line: Line) -> None:
    """The relay waits for the response, moves to another session, waits again, and then speaks the fallback text."""
    await calls_a_function(line, "stalled")
    await goes_on(line)
    assert await uses(line) == [("add_note", "unanswered")] * 2
    await line.ends(GREETING, FALLBACK, SECOND, overdue=[("words", AGAIN), ("words", "fallback")], sessions=2)


@pytest.mark.usefixtures("relay")
async def test_a_failed_call_ends_in_the_fallback_text(line: Line) -> None:
    await calls_a_function(line, "failed")
    await goes_on(line)
    assert await uses(line) == [("add_note", "unanswered")] * 2
    await line.ends(GREETING, FALLBACK, SECOND, overdue=[("words", AGAIN), ("words", "fallback")])


@pytest.mark.usefixtures("relay")
async def test_an_accepted_call_is_carried_out(line: Line) -> None:
    await calls_a_function(line, "accepted")
    await goes_on(line)
    assert await uses(line) == [("add_note", "ok")]
    await line.ends(GREETING, DONE, SECOND, overdue=[])


@pytest.mark.usefixtures("relay")
async def test_a_function_that_the_relay_does_not_have_is_answered(line: Line) -> None:
    await calls_a_function(line, "accepted", UNKNOWN)
    await goes_on(line)
    assert await uses(line) == [("look_up", "failed")]
    await line.ends(GREETING, DONE, SECOND, overdue=[])


@pytest.mark.usefixtures("relay")
async def test_a_refused_output_ends_in_the_fallback_text(line: Line) -> None:
    await calls_a_function(line, "refused")
    await goes_on(line)
    assert await uses(line) == [("add_note", "unanswered")]
    await line.ends(GREETING, FALLBACK, SECOND, overdue=[("words", AGAIN), ("words", "fallback")])
