"""Tools that the agent's platform calls: the reference as the model copies it, and failures of the request."""

from __future__ import annotations

import asyncio

import pytest

from lab.ports import free_port
from lab.scenario import ScenarioTool
from lab.voice_live.conversation_items import ConversationItem, ConversationItems
from lab.voice_live.injected_faults import AgentToolFault
from lab.voice_live.platform_tools import PlatformTools, ToolAnswer, with_reference
from tests.support.voice_live_stage import AGENT, staged

REFERENCE = "7QK4-M2X9-RD"
NOTE = ScenarioTool(name="add_note", arguments={"text": "hello"}, via="openapi")


def conversation(*texts: str) -> ConversationItems:
    items = [ConversationItem(f"item_{n}", "message", "system", text=text) for n, text in enumerate(texts)]
    return ConversationItems("conv_1", items=items)


@pytest.mark.parametrize(
    ("form", "argument"),
    [
        ("", {"call": REFERENCE}),
        ("twice", {"call": REFERENCE}),
        ("anonymous", {"call": REFERENCE}),
        ("after_end", {"call": REFERENCE}),
        ("garbled", {"call": "2QK4-M2X9-RD"}),
        ("reformatted", {"call": "7qk4 m2x9 rd"}),
        ("missing", {}),
    ],
)
def test_the_latest_reference_is_the_argument(form: str, argument: dict[str, object]) -> None:
    known = conversation("Call reference: 0000-0000-00. Never say it.", f"Call reference: {REFERENCE}. Pass it.", "Hi.")
    assert with_reference(known, form) == argument


def test_without_a_reference_there_is_no_argument() -> None:
    assert with_reference(conversation("Greet the caller."), "garbled") == {}


@pytest.mark.parametrize(
    ("answer", "ok"),
    [
        (ToolAnswer(200, '{"ok": true}'), True),
        (ToolAnswer(200, "fine"), True),
        (ToolAnswer(200, '{"ok": false, "reason": "no"}'), False),
        (ToolAnswer(401, '{"ok": true}'), False),
        (ToolAnswer(0, ""), False),
    ],
)
def test_which_answers_the_model_tries_again(answer: ToolAnswer, ok: bool) -> None:
    assert answer.ok is ok


@pytest.mark.parametrize(("form", "requests"), [(None, 1), ("anonymous", 2), ("twice", 2), ("missing", 2)])
async def test_an_unreachable_tool_is_noted_for_each_request(form: str | None, requests: int) -> None:
    record = staged(AGENT).record
    fault = AgentToolFault.model_validate({"form": form}) if form else None
    tools = PlatformTools(f"http://127.0.0.1:{free_port()}/agent", "key")
    await tools.use(NOTE, record, fault, asyncio.Event())
    noted = [row for row in record.timeline if row["event"] == "agent_tool"]
    assert [(row["name"], row["status"]) for row in noted] == [("add_note", 0)] * requests


async def test_a_request_after_the_end_waits_for_it_and_ends_with_the_simulator() -> None:
    record, closed = staged(AGENT).record, asyncio.Event()
    tools = PlatformTools(f"http://127.0.0.1:{free_port()}/agent", "key")
    late = AgentToolFault(form="after_end")
    running, stopped = (tools.use(NOTE, record, late, end) for end in (closed, asyncio.Event()))
    closed.set()
    await running
    assert len([row for row in record.timeline if row["event"] == "agent_tool"]) == 1
    tools.stop()
    with pytest.raises(asyncio.CancelledError):
        await stopped
