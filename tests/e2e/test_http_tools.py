"""Function tools that are HTTP requests, with a business that is late or failing. `test_stories` shows a slow and a
silent one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from lab.observed_call import ObservedCall
from lab.scenario import Agent, Reply, Scenario, ScenarioCaller, ScenarioFunctionCall, ScenarioStep
from lab.stack import Stack
from lab.wire import call_json
from tests.support.acting_calls import MODEL_MODE, EndedCall, acting_stack, heard_event, run_call, set_faults
from tests.support.eventually import eventually

PROFILES: Final = """
default:
  greeting: {text: Hello.}
  goodbye_text: Goodbye.
  tools:
    - name: order_state
      description: Looks up an order.
      parameters: {type: object, properties: {number: {type: string}}, required: [number]}
      url: BUSINESS/orders/{number}
      method: GET
      timeout_s: 4
    - name: book
      description: Books an appointment.
      parameters: {type: object, properties: {day: {type: string}}, required: [day]}
      url: BUSINESS/appointments
      timeout_s: 2
      retries: 1
"""
LOOK_UP: Final = ScenarioFunctionCall(name="order_state", arguments={"number": "42"})
BOOK: Final = ScenarioFunctionCall(name="book", arguments={"day": "Monday"})
GREETED: Final = ScenarioStep(wait_for="agent_ends", ms=500)
ASK: Final = ScenarioStep(say="Please do it.")
ANSWERED: Final = ScenarioStep(wait_for="agent_ends", ms=600)
HANG_UP: Final = ScenarioStep(hang_up=True)


@pytest.fixture(scope="module")
def tool_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with acting_stack(tmp_path_factory.mktemp("tools"), PROFILES, relay=MODEL_MODE) as stack:
        yield stack
        assert [process.name for process in stack.dead()] == []


def scenario(*replies: Reply, steps: tuple[ScenarioStep, ...] = (GREETED, ASK, ANSWERED, HANG_UP)) -> Scenario:
    return Scenario(name="tools", caller=ScenarioCaller(steps=steps), agent=Agent(replies=replies))


async def call_with(stack: Stack, faults: dict[str, Any], *replies: Reply, **more: Any) -> tuple[EndedCall, list[Any]]:
    """The ended call, and its requests to the business."""
    set_faults(stack, "business", faults)
    ended = await run_call(stack, scenario(*replies, **more))
    seen = call_json("GET", f"{stack.url('business')}/lab/requests")["requests"]
    return ended, [row for row in seen if row["call_id"] == ended.record["call_id"]]


def booked(stack: Stack, requests: list[Any]) -> list[Any]:
    """Appointments, if every request had the same idempotency key."""
    [_] = {row["key"] for row in requests}
    found: list[Any] = call_json("GET", f"{stack.url('business')}/lab/requests")["appointments"]
    return found


@pytest.mark.timeout(90)
async def test_an_appointment_that_is_confirmed_too_late_is_booked_once(tool_stack: Stack) -> None:
    before = len(call_json("GET", f"{tool_stack.url('business')}/lab/requests")["appointments"])
    reply = Reply(heard="Please do it.", call=BOOK, say="Your appointment is booked.")
    ended, requests = await call_with(tool_stack, {"late": {"delay_s": 4, "times": 1}}, reply)
    assert len(requests) == 2, "the relay gave up on the first and tried again"
    assert len(booked(tool_stack, requests)) == before + 1
    assert ended.agent_turns[-1] == "Your appointment is booked."
    [used] = [row for row in ended.transcript if row.get("what") == "tool_call"]
    assert "Monday" in used["detail"]


@pytest.mark.timeout(90)
async def test_a_failing_business_is_asked_again_as_often_as_allowed(tool_stack: Stack) -> None:
    failing = {"failing": {"status": 503, "times": 2}}
    ended, requests = await call_with(tool_stack, failing, Reply(heard="Please do it.", call=BOOK))
    assert [row["status"] for row in requests] == [503, 503]
    assert "not available now" in ended.agent_turns[-1]


@pytest.mark.timeout(90)
async def test_an_unknown_order_is_an_answer_for_the_model(tool_stack: Stack) -> None:
    unknown = ScenarioFunctionCall(name="order_state", arguments={"number": "7"})
    ended, requests = await call_with(tool_stack, {}, Reply(heard="Please do it.", call=unknown))
    assert [row["status"] for row in requests] == [404]
    assert "404" in ended.agent_turns[-1]


@pytest.mark.timeout(90)
async def test_a_caller_who_speaks_while_a_tool_runs_does_not_repeat_it(tool_stack: Stack) -> None:
    steps = (GREETED, ASK, ScenarioStep(pause_ms=1500), ScenarioStep(say="Hello?"), ANSWERED, HANG_UP)
    replies = (Reply(heard="Please do it.", call=LOOK_UP), Reply(heard="Hello?", say="I am still looking."))
    ended, requests = await call_with(tool_stack, {"slow": {"delay_s": 3, "times": 1}}, *replies, steps=steps)
    assert [row["status"] for row in requests] == [200]
    assert "I am still looking." in ended.agent_turns
    outputs = [item for item in ended.call.voice["items"] if item["type"] == "function_call_output"]
    assert len(outputs) == 1


@pytest.mark.timeout(90)
async def test_an_operator_can_hang_up_while_a_tool_runs(tool_stack: Stack) -> None:
    async def hang_up(call: ObservedCall) -> None:
        await eventually(lambda: heard_event(call, "caller_ends"), within_s=20, every_s=0.1)
        url = f"{tool_stack.url('call-control')}/api/calls/{call.record()['call_id']}/actions"
        await eventually(lambda: call_json("GET", f"{tool_stack.url('business')}/lab/requests")["requests"])
        call_json("POST", url, {"action": "hang_up"})

    set_faults(tool_stack, "business", {"never": {}})
    ended = await run_call(tool_stack, scenario(Reply(call=LOOK_UP), steps=(GREETED, ASK)), hang_up)
    assert ended.record["end_reason"] == "hung_up_by_operator"
    assert ended.agent_turns[-1] == "Goodbye."
    [action] = ended.actions
    assert action["state"] == "done"
