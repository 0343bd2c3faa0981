"""Agents and operators act on a call: it ends after a heard goodbye, tones are sent, silent callers are asked."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from bridge_common.wire.agent_tools import AGENT_TOOLS
from lab.observed_call import ObservedCall
from lab.scenario import Agent, Reply, Scenario, ScenarioCaller, ScenarioFunctionCall, ScenarioStep, ScenarioTool
from lab.stack import AGENT_TOOLS_KEY, API_KEY, Stack
from lab.wire import call_json
from tests.support.acting_calls import (
    AFTER_THE_LAST_WORD_S,
    MODEL_MODE,
    acting_stack,
    actions_of,
    check_heard_to_the_end,
    check_hung_up,
    heard_event,
    run_call,
    set_faults,
)
from tests.support.eventually import eventually

GOODBYE: Final = "Thank you for calling, goodbye."
LONG_GOODBYE: Final = "It was a pleasure to help you with all of this today, and I wish you a very pleasant evening."
PROFILES: Final = f"""
default:
  greeting: {{text: Hello.}}
  actions: [end_call, send_dtmf, add_note]
  goodbye_text: {GOODBYE}
  end_phrases: [have a pleasant day]
quiet:
  greeting: {{text: Hello.}}
  goodbye_text: {GOODBYE}
  silence: {{after_s: 2, reprompts: 1, reprompt_text: "Are you still there?"}}
long:
  greeting: {{text: Hello.}}
  goodbye_text: {GOODBYE}
  time_left_text: We have four seconds left.
"""
QUIET_CALLER: Final = "+14255550201"
ROUTING: Final = f"""
rules:
  - {{name: quiet, caller: "{QUIET_CALLER}", agent: quiet}}
  - {{name: others, agent: default}}
"""
END: Final = ScenarioFunctionCall(name="end_call", arguments={"reason": "done"})
DONE: Final = ScenarioStep(say="That is all.")
GREETED: Final = ScenarioStep(wait_for="agent_ends", ms=500)


@pytest.fixture(scope="module")
def model_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with acting_stack(tmp_path_factory.mktemp("model"), PROFILES, relay=MODEL_MODE, routing=ROUTING) as stack:
        yield stack
        assert [process.name for process in stack.dead()] == []


@pytest.fixture(scope="module")
def agent_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with acting_stack(tmp_path_factory.mktemp("agent"), PROFILES) as stack:
        yield stack
        assert [process.name for process in stack.dead()] == []


def scenario(
    *replies: Reply, steps: tuple[ScenarioStep, ...] = (GREETED, DONE), number: str = "+14255550200"
) -> Scenario:
    return Scenario(name="acting", caller=ScenarioCaller(number=number, steps=steps), agent=Agent(replies=replies))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(heard="That is all.", say_first=GOODBYE, call=END),
        Reply(heard="That is all.", call=END, say=GOODBYE),
    ],
    ids=["in the same response", "in the next response"],
)
@pytest.mark.timeout(90)
async def test_an_agent_hangs_up_after_its_goodbye(model_stack: Stack, reply: Reply) -> None:
    ended = await run_call(model_stack, scenario(reply))
    check_hung_up(ended, "agent", GOODBYE)
    assert ended.agent_turns == ["Hello.", GOODBYE], "one goodbye"


@pytest.mark.timeout(90)
async def test_a_caller_who_interrupts_the_goodbye_stays_in_the_call(model_stack: Stack) -> None:
    steps = (
        GREETED,
        DONE,
        ScenarioStep(wait_for="agent_starts", ms=1200),
        ScenarioStep(say="Wait, I have another question."),
        ScenarioStep(wait_for="agent_ends", ms=600),
        ScenarioStep(hang_up=True),
    )
    replies = (
        Reply(heard="That is all.", say_first=LONG_GOODBYE, call=END),
        Reply(heard="Wait, I have another question.", say="What is it?"),
    )
    ended = await run_call(model_stack, scenario(*replies, steps=steps))
    assert ended.call.phone["end_reason"] == "caller_hung_up"
    [hang_up] = ended.actions
    assert (hang_up["action"], hang_up["state"]) == ("hang_up", "canceled")
    assert ended.agent_turns[-1] == "What is it?"
    assert ended.agent_turns[1] != LONG_GOODBYE, "it was cut"
    assert LONG_GOODBYE.startswith(ended.agent_turns[1])
    assert any("was not ended" in text for text in ended.told)


@pytest.mark.timeout(90)
async def test_an_operator_hangs_up_after_the_goodbye_of_the_profile(model_stack: Stack) -> None:
    async def hang_up(call: ObservedCall) -> None:
        await eventually(lambda: heard_event(call, "agent_ends"), within_s=20, every_s=0.1)
        first, second = [await operator_act(model_stack, call, "key-1", action="hang_up") for _ in range(2)]
        assert first["action_id"] == second["action_id"]

    ended = await run_call(model_stack, scenario(steps=()), hang_up)
    check_hung_up(ended, "operator", GOODBYE)
    assert len(ended.actions) == 1


@pytest.mark.timeout(90)
async def test_a_hang_up_that_acs_refuses_is_not_done_before_the_call_is_gone(model_stack: Stack) -> None:
    seen: list[tuple[str, str]] = []

    async def hang_up(call: ObservedCall) -> None:
        await eventually(lambda: heard_event(call, "agent_ends"), within_s=20, every_s=0.1)
        refusal = {"status": 400, "code": "8501", "message": "Call not established.", "for_s": 6.0}
        set_faults(model_stack, "acs", {"rest": {"terminate": refusal}})
        await operator_act(model_stack, call, "key-2", action="hang_up")
        call_id = str(call.record()["call_id"])

        def gone() -> bool:
            call.poll()
            actions = actions_of(model_stack, call_id)
            status = call.record()["status"]
            seen.extend((status, action["state"]) for action in actions)
            return call.finished

        await eventually(gone, within_s=30, every_s=0.1, what="the phone is hung up")

    ended = await run_call(model_stack, scenario(steps=()), hang_up)
    assert seen.count(("ending", "running")) > 10, "for more than a second"
    [hang_up_action] = ended.actions
    assert (hang_up_action["state"], hang_up_action["reason"]) == ("done", "heard")
    assert ended.record["end_reason"] == "hung_up_by_operator"
    assert {state for status, state in seen if status in ("connected", "ending")} == {"running"}


async def operator_act(stack: Stack, call: ObservedCall, key: str, **body: object) -> dict[str, Any]:
    url = f"{stack.url('call-control')}/api/calls/{call.record()['call_id']}/actions"
    async with httpx.AsyncClient(trust_env=False) as http:
        reply = await http.post(url, json=body, headers={"X-Api-Key": API_KEY, "Idempotency-Key": key})
    assert reply.status_code == 202, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


@pytest.mark.timeout(90)
async def test_a_silent_caller_is_asked_and_then_hung_up(model_stack: Stack) -> None:
    ended = await run_call(model_stack, scenario(steps=(), number=QUIET_CALLER))
    assert ended.agent_turns == ["Hello.", "Are you still there?", GOODBYE]
    check_hung_up(ended, "silence_policy", GOODBYE)
    starts, ends = ended.call.times("phone", "agent_starts"), ended.call.times("phone", "agent_ends")
    pauses = [start - end for end, start in zip(ends, starts[1:], strict=False)]
    assert len(pauses) == 2
    assert all(pause >= 1.4 for pause in pauses), "the phone reports the end of speech up to 0.6 s late"


@pytest.mark.timeout(90)
async def test_tones_of_the_agent_reach_the_phone(model_stack: Stack) -> None:
    tones = ScenarioFunctionCall(name="send_dtmf", arguments={"digits": "12#"})

    async def wait(call: ObservedCall) -> None:
        call_id = str(call.record()["call_id"])
        await eventually(
            lambda: [one for one in actions_of(model_stack, call_id) if one["state"] == "done"],
            within_s=20,
            every_s=0.1,
            what="the tones are sent",
        )

    steps = (GREETED, DONE, ScenarioStep(wait_for="agent_ends", ms=600), ScenarioStep(hang_up=True))
    ended = await run_call(
        model_stack, scenario(Reply(heard="That is all.", call=tones, say="Sent."), steps=steps), wait
    )
    pressed = [row["tone"] for row in ended.call.phone["timeline"] if row["event"] == "dtmf" and row["by"] == "agent"]
    assert "".join(pressed) == "12#"
    [action] = ended.actions
    assert (action["action"], action["arguments"], action["state"]) == ("send_dtmf", {"tones": "12#"}, "done")
    assert any("Result of send_dtmf" in text and '"done"' in text for text in ended.told)


@pytest.mark.timeout(120)
async def test_the_longest_call_is_announced_and_ends_with_a_goodbye(tmp_path_factory: pytest.TempPathFactory) -> None:
    control = {"MAX_CALL_S": "9", "MAX_CALL_WARNING_S": "4", "DEFAULT_PROFILE": "long"}
    with acting_stack(tmp_path_factory.mktemp("long"), PROFILES, relay=MODEL_MODE, control=control) as stack:
        ended = await run_call(stack, scenario(steps=()))
    assert ended.record["end_reason"] == "too_long"
    assert ended.agent_turns == ["Hello.", "We have four seconds left.", GOODBYE]
    check_heard_to_the_end(ended, GOODBYE)


@pytest.mark.timeout(90)
async def test_an_agreed_phrase_of_a_foundry_agent_ends_the_call(agent_stack: Stack) -> None:
    goodbye = "You are welcome. Have a pleasant day!"
    ended = await run_call(agent_stack, scenario(Reply(heard="That is all.", say=goodbye)))
    check_hung_up(ended, "agent", goodbye)


@pytest.mark.parametrize("via", ["mcp", "openapi"])
@pytest.mark.timeout(90)
async def test_a_foundry_agent_hangs_up_through_its_tool(agent_stack: Stack, via: str) -> None:
    ended = await run_call(agent_stack, scenario(foundry_goodbye(via)))
    check_hung_up(ended, "agent", GOODBYE)
    [request] = ended.requests()
    assert request["status"] == 200
    assert '"state": "accepted"' in request["answer"].replace('":"', '": "')
    reference = next(text for text in ended.told if text.startswith("Call reference"))
    secret = reference.split()[2].rstrip(".")
    for service in ("call-control", "media-gateway", "agent-relay"):
        assert secret not in (agent_stack.folder / f"{service}.log").read_text(), service
    assert secret not in str(ended.transcript)


def foundry_goodbye(via: str) -> Reply:
    tool = ScenarioTool.model_validate({"name": "end_call", "arguments": {"reason": "done"}, "via": via})
    return Reply(heard="That is all.", tool=tool, say=GOODBYE)


@pytest.mark.parametrize(
    ("via", "form", "statuses"),
    [
        ("mcp", "anonymous", [401, 200]),
        ("openapi", "anonymous", [401, 200]),
        ("mcp", "twice", [200, 200]),
        ("openapi", "garbled", [200, 200]),
        ("mcp", "missing", [200, 200]),
    ],
)
@pytest.mark.timeout(90)
async def test_mistakes_of_the_agent_platform_end_in_one_hang_up(
    agent_stack: Stack, via: str, form: str, statuses: list[int]
) -> None:
    set_faults(agent_stack, "voice-live", {"agent_tool": {"form": form, "times": 1}})
    ended = await run_call(agent_stack, scenario(foundry_goodbye(via)))
    check_hung_up(ended, "agent", GOODBYE)
    assert [request["status"] for request in ended.requests()] == statuses
    assert len(ended.actions) == 1


@pytest.mark.timeout(90)
async def test_a_reference_in_another_notation_names_the_call(agent_stack: Stack) -> None:
    set_faults(agent_stack, "voice-live", {"agent_tool": {"form": "reformatted", "times": 1}})
    ended = await run_call(agent_stack, scenario(foundry_goodbye("mcp")))
    check_hung_up(ended, "agent", GOODBYE)
    assert len(ended.requests()) == 1


@pytest.mark.timeout(90)
async def test_a_call_reference_that_the_agent_speaks_is_not_heard(agent_stack: Stack) -> None:
    set_faults(agent_stack, "voice-live", {"agent_tool": {"form": "spoken", "times": 1}})
    reply = foundry_goodbye("openapi")
    ended = await run_call(agent_stack, scenario(reply, reply, steps=(GREETED, DONE, GREETED, DONE)))
    check_hung_up(ended, "agent", GOODBYE)
    [leak] = [said for said in ended.call.voice["said"] if "The reference of this call is" in str(said)]
    assert "call_reference_spoken" in [row.get("what") for row in ended.transcript]
    reference = next(text for text in ended.told if text.startswith("Call reference")).split()[2].rstrip(".")
    assert reference in str(leak)
    assert reference not in str(ended.transcript)


@pytest.mark.timeout(90)
async def test_a_request_after_the_end_of_the_call_changes_nothing(agent_stack: Stack) -> None:
    set_faults(agent_stack, "voice-live", {"agent_tool": {"form": "after_end", "times": 1}})
    steps = (GREETED, DONE, ScenarioStep(wait_for="agent_ends", ms=600), ScenarioStep(hang_up=True))
    note = ScenarioTool(name="add_note", arguments={"text": "too late"}, via="openapi")
    reply = Reply(heard="That is all.", tool=note, say="It is noted.")
    ended = await run_call(agent_stack, scenario(reply, steps=steps))

    def sent() -> list[dict[str, Any]]:
        ended.call.poll()
        return ended.requests()

    [request] = await eventually(sent, every_s=0.1, what="the platform sends its request")
    assert request["status"] == 200
    assert '"ok":false' in request["answer"].replace(" ", "")
    assert actions_of(agent_stack, str(ended.record["call_id"])) == []
    call_json("DELETE", f"{agent_stack.url('voice-live')}/lab/faults")


@pytest.mark.timeout(90)
async def test_the_mcp_client_of_the_docs_stores_a_note(
    agent_stack: Stack, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    """Runs the example of docs/agent-tools.md, with the call reference as it is found there."""
    page = (pytestconfig.rootpath / "docs/agent-tools.md").read_text(encoding="utf-8")
    [program] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "client.py").write_text(program, encoding="utf-8")

    async def use(call: ObservedCall) -> None:
        await eventually(lambda: heard_event(call, "agent_ends"), within_s=20, every_s=0.1)
        [reference] = set(re.findall(r"Call reference: ([0-9A-Z-]*)", str(call.voice["items"])))
        environment = {"BASE_URL": agent_stack.url("call-control"), "KEY": AGENT_TOOLS_KEY, "CALL": reference}
        client = await asyncio.create_subprocess_exec(
            sys.executable, str(tmp_path / "client.py"), env={**os.environ, **environment}, stdout=subprocess.PIPE
        )
        printed, _ = await client.communicate()
        assert printed.decode().splitlines()[0] == str(list(AGENT_TOOLS))
        call_json("POST", f"{agent_stack.url('acs')}/lab/calls/{call.lab_id}/hangup", {})

    ended = await run_call(agent_stack, scenario(steps=()), use)
    assert [(one["action"], one["arguments"]) for one in ended.actions] == [("note", {"text": "calls again on Monday"})]


@pytest.mark.timeout(90)
async def test_a_caller_who_speaks_only_delays_an_operator_s_hang_up(model_stack: Stack) -> None:
    async def hang_up(call: ObservedCall) -> None:
        await eventually(lambda: heard_event(call, "agent_ends"), within_s=20, every_s=0.1)
        await operator_act(model_stack, call, "key-2", action="hang_up")

    steps = (GREETED, ScenarioStep(wait_for="agent_starts", ms=500), ScenarioStep(say="But I am not done."))
    reply = Reply(heard="But I am not done.", say="I am sorry, this is the end of our call.")
    ended = await run_call(model_stack, scenario(reply, steps=steps), hang_up)
    assert ended.record["end_reason"] == "hung_up_by_operator"
    [action] = ended.actions
    assert action["state"] == "done"
    assert GOODBYE.startswith(ended.agent_turns[1])
    assert ended.agent_turns[2:] == ["I am sorry, this is the end of our call."]
    assert 0.0 <= ended.silence_before_end_s <= AFTER_THE_LAST_WORD_S


@pytest.mark.timeout(90)
async def test_a_caller_who_answers_the_question_stays_in_the_call(model_stack: Stack) -> None:
    steps = (
        GREETED,
        ScenarioStep(wait_for="agent_ends", ms=500),
        ScenarioStep(say="Yes, I am here."),
        ScenarioStep(wait_for="agent_ends", ms=500),
        ScenarioStep(wait_for="agent_ends", ms=500),
        ScenarioStep(hang_up=True),
    )
    reply = Reply(heard="Yes, I am here.", say="Good.")
    ended = await run_call(model_stack, scenario(reply, steps=steps, number=QUIET_CALLER))
    assert ended.call.phone["end_reason"] == "caller_hung_up"
    assert ended.agent_turns == ["Hello.", "Are you still there?", "Good.", "Are you still there?"], "it counts again"
    assert ended.actions == []


@pytest.mark.timeout(90)
async def test_the_hang_up_happens_although_the_agent_has_lost_its_voice(model_stack: Stack) -> None:
    async def silence(call: ObservedCall) -> None:
        await eventually(lambda: heard_event(call, "agent_ends"), within_s=20, every_s=0.1)
        set_faults(model_stack, "voice-live", {"response_silent": {"form": "empty"}})

    ended = await run_call(model_stack, scenario(Reply(heard="That is all.", call=END, say=GOODBYE)), silence)
    set_faults(model_stack, "voice-live", {})
    assert ended.record["end_reason"] == "hung_up_by_agent"
    [hang_up] = ended.actions
    assert hang_up["state"] == "done"
    assert hang_up["reason"] in ("not_spoken", "cut")
    assert ended.silence_before_end_s <= 16, "the caller waits no longer than the agent may take to say goodbye"


def _requested_by_agent(call: ObservedCall) -> bool:
    call.poll()
    return bool(call.times("voice", "function_call"))


@pytest.mark.timeout(90)
async def test_an_operator_and_the_agent_hang_up_at_the_same_time(model_stack: Stack) -> None:
    async def hang_up(call: ObservedCall) -> None:
        await eventually(lambda: _requested_by_agent(call), within_s=30, every_s=0.05)
        await operator_act(model_stack, call, "key-3", action="hang_up")

    ended = await run_call(
        model_stack, scenario(Reply(heard="That is all.", say_first=LONG_GOODBYE, call=END)), hang_up
    )
    assert ended.agent_turns == ["Hello.", LONG_GOODBYE]
    assert sorted((one["by"], one["state"]) for one in ended.actions) == [("agent", "done"), ("operator", "done")]
    check_heard_to_the_end(ended, LONG_GOODBYE)
