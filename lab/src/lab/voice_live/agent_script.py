"""Selects the next reply of the simulated agent from the script and the conversation."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lab.scenario import Agent, Reply, ScenarioMcpCall, ScenarioTool
from lab.voice_live.conversation_items import ConversationItem, ConversationItems
from lab.voice_live.server_events import RefusedError

DEFAULT_GREETING = "Hello, how can I help you?"
AFTER_THE_SCRIPT = "Is there anything else I can do for you?"
UNHEARD = "(speech)"
_QUOTED = re.compile(r'["“](.+)["”]', re.DOTALL)
"""Matches a quoted text, which may contain quotation marks itself."""


@dataclass(frozen=True)
class SayStep:
    text: str


@dataclass(frozen=True)
class CallFunction:
    name: str
    arguments: str
    """Arguments of the function as a JSON string."""
    text: str = ""
    """Spoken before the call, in the same response."""


@dataclass(frozen=True)
class UseTool:
    """The service calls the tool itself, then speaks `text`, or the tool's answer without a text."""

    tool: ScenarioTool
    text: str = ""


@dataclass(frozen=True)
class UseMcp:
    """The service calls a tool of an MCP server, without speech. `approved`: the client has approved the call."""

    call: ScenarioMcpCall
    approved: bool = False
    text: str = ""


Plan = SayStep | CallFunction | UseTool | UseMcp


def heard_in_turn(agent: Agent, turn: int) -> str:
    """Return the simulated transcription of a caller's turn. `turn` counts from 0."""
    return (agent.replies[turn].heard if turn < len(agent.replies) else "") or UNHEARD


def next_plan(
    agent: Agent, conversation: ConversationItems, options: Mapping[str, object], *, spaced_arguments: bool = False
) -> Plan:
    """Return what the agent says or calls next in the conversation. Raises `RefusedError` if a pre-generated message
    does not have exactly one text part.

    `options`: the `response` object of `response.create`. `spaced_arguments`: format function arguments with the spaces
    and line breaks that some models write.
    """
    if (pre_generated := options.get("pre_generated_assistant_message")) is not None:
        return SayStep(_only_text(pre_generated))
    if quoted := _quoted(str(options.get("instructions") or "")):
        return SayStep(quoted)
    last = conversation.items[-1] if conversation.items else None
    if last is not None and last.role == "system" and (quoted := _quoted(last.text)):
        return SayStep(quoted)
    # Other system messages are facts, for example the call reference: the model responds to what precedes them.
    last = next((item for item in reversed(conversation.items) if item.role != "system"), None)
    if last is None:
        return SayStep(agent.greeting or DEFAULT_GREETING)
    if last.type == "function_call_output":
        return _after_function(agent, conversation, last)
    if last.type == "mcp_approval_response" and conversation.items[-1].role == "system":
        return SayStep("I am not allowed to do that.")
    if last.type in ("mcp_call", "mcp_approval_response"):
        return _after_mcp(_reply(agent, conversation), last)
    if last.role == "assistant":
        # Models finish a message that was truncated, and continue like this after a whole one.
        reply = _reply(agent, conversation)
        if reply is not None and (last.truncated or _unsaid(reply, conversation)):
            return SayStep(reply.say or reply.say_first or "Understood.")
        return SayStep("Understood.")
    return _answer(_reply(agent, conversation), spaced_arguments)


def _unsaid(reply: Reply, conversation: ConversationItems) -> bool:
    """Whether the words after a function call are still due: the agent speaks them in its next response."""
    texts = [item.text for item in conversation.items if item.role == "assistant"]
    return reply.call is not None and reply.say is not None and reply.say not in texts


def _answer(reply: Reply | None, spaced_arguments: bool) -> Plan:
    if reply is None:
        return SayStep(AFTER_THE_SCRIPT)
    if reply.call is not None:
        arguments = _json(reply.call.arguments, spaced=spaced_arguments)
        return CallFunction(reply.call.name, arguments, reply.say_first or "")
    if reply.mcp is not None:
        return UseMcp(reply.mcp)
    if reply.tool is not None:
        return UseTool(reply.tool, reply.say or "")
    return SayStep(reply.say or AFTER_THE_SCRIPT)


def _json(arguments: Mapping[str, object], *, spaced: bool) -> str:
    if not spaced or not arguments:
        return json.dumps(arguments, separators=(",", ":"))
    lines = json.dumps(arguments, indent=2).removeprefix("{").removesuffix("\n}")
    return f"{{  {lines} \n}} \n"


def _after_function(agent: Agent, conversation: ConversationItems, last: ConversationItem) -> Plan:
    reply = _reply(agent, conversation)
    if reply is not None and (reply.call or reply.mcp) is not None and reply.say:
        return SayStep(reply.say)
    return SayStep(found(last.output or ""))


def _after_mcp(reply: Reply | None, last: ConversationItem) -> Plan:
    if last.type == "mcp_approval_response":
        waits = reply is not None and reply.mcp is not None and last.output == "true"
        return UseMcp(reply.mcp, approved=True) if waits and reply and reply.mcp else SayStep(AFTER_THE_SCRIPT)
    return SayStep(reply.say if reply is not None and reply.say else found(last.output or ""))


def found(output: str) -> str:
    """The agent's words about the result of a function."""
    return f"I found this: {output or 'nothing'}"[:400]


def _reply(agent: Agent, conversation: ConversationItems) -> Reply | None:
    turn = conversation.user_turns - 1
    return agent.replies[turn] if 0 <= turn < len(agent.replies) else None


def _quoted(text: str) -> str | None:
    found = _QUOTED.search(text)
    return found.group(1).strip() if found else None


def _only_text(message: object) -> str:
    parts = message.get("content") if isinstance(message, Mapping) else None
    if isinstance(parts, list) and len(parts) == 1 and isinstance(parts[0], Mapping):
        text = parts[0].get("text")
        if isinstance(text, str) and text.strip():
            return text
    param = "response.pre_generated_assistant_message"
    raise RefusedError("A pre-generated message needs exactly one text part", "invalid_value", param)
