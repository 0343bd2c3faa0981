"""A process dies between the request of a hang-up and the end of the goodbye: the call still ends, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from lab.observed_call import ObservedCall
from lab.scenario import Agent, Reply, Scenario, ScenarioCaller, ScenarioFunctionCall, ScenarioStep
from lab.stack import Stack
from tests.support.acting_calls import MODEL_MODE, acting_stack, run_call
from tests.support.eventually import eventually

GOODBYE: Final = (
    "It was a pleasure to help you with all of this today, and I wish you a very pleasant evening. Goodbye."
)
PROFILES: Final = "default: {greeting: {text: Hello.}, actions: [end_call], goodbye_text: Goodbye.}"
GOODBYE_TIMEOUT_S: Final = 12.0
SCENARIO: Final = Scenario(
    name="crash",
    caller=ScenarioCaller(steps=(ScenarioStep(wait_for="agent_ends", ms=500), ScenarioStep(say="That is all."))),
    agent=Agent(
        replies=(
            Reply(
                heard="That is all.",
                say_first=GOODBYE,
                call=ScenarioFunctionCall(name="end_call", arguments={"reason": "done"}),
            ),
        )
    ),
)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A test adds the second relay when the first has the call."""
    with acting_stack(tmp_path, PROFILES, relay=MODEL_MODE) as stack:
        yield stack


def kill(stack: Stack, name: str) -> None:
    process = next(one for one in stack.processes if one.name == name)
    assert process.popen is not None
    process.popen.kill()
    process.popen.wait()
    stack.processes.remove(process)


def goodbye_is_heard(call: ObservedCall) -> bool:
    call.poll()
    asked = call.times("voice", "function_call")
    return bool(asked) and any(t > asked[0] - 1.0 for t in call.times("phone", "agent_starts")[1:])


@pytest.mark.parametrize("victim", ["agent-relay", "call-control"])
@pytest.mark.timeout(120)
async def test_a_hang_up_survives_the_death_of_a_process(stack: Stack, victim: str) -> None:
    async def crash(call: ObservedCall) -> None:
        if victim == "agent-relay":
            stack.launch_second("agent-relay")
            stack.await_ready()
        await eventually(lambda: goodbye_is_heard(call), within_s=30, every_s=0.05, what="the goodbye begins")
        kill(stack, victim)
        if victim == "call-control":
            stack.launch_part(victim)
            stack.await_ready()

    ended = await run_call(stack, SCENARIO, crash)
    assert ended.record["end_reason"] == "hung_up_by_agent"
    [hang_up] = ended.actions
    assert (hang_up["action"], hang_up["state"]) == ("hang_up", "done")
    asked = ended.call.times("phone", "caller_ends")[0]
    [over] = ended.call.times("phone", "ended")
    assert over - asked < GOODBYE_TIMEOUT_S
    assert ended.agent_turns == ["Hello.", GOODBYE], "nothing is said after the goodbye"
