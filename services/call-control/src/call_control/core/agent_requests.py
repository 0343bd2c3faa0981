"""Decodes the tool calls of Foundry agents, and words the answers so that the agent can speak them (ADR 37)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from bridge_common.wire import call_reference
from bridge_common.wire.action_kinds import TRANSFER
from bridge_common.wire.agent_tools import AGENT_TOOLS, AgentTool
from bridge_common.wire.call_record import CallAction, CallRecord, Status
from bridge_common.wire.call_reference import ReferredCall
from bridge_common.wire.entries import Act
from call_control.core.machine.action_limits import limit_fault
from call_control.core.machine.people_faults import transfer_under_way
from call_control.core.machine.requested_actions import earlier
from call_control.core.policy.transfer_targets import unknown_target

CALL_ARGUMENT: Final = {
    "type": "string",
    "description": "The call reference from the message headed 'Call reference', for example 7QK4-M2X9-RD.",
}
NO_REFERENCE: Final = (
    "The argument `call` is missing or garbled. Use the reference from the message headed 'Call reference'."
)
UNKNOWN_REFERENCE: Final = "There is no call with this reference. It may have ended."
MANY_UNKNOWN_REFERENCES: Final = (
    "There is no call with this reference. Do not guess: use the reference from the message headed 'Call reference', "
    "or continue the conversation without tools."
)

Answer = dict[str, Any]
"""JSON object: `ok` and `state`, and `say` (accepted) or `reason` (rejected)."""


def refused(reason: str) -> Answer:
    return {"ok": False, "reason": reason}


def reference_of(arguments: Mapping[str, object]) -> str:
    """Return the call reference in its normal form, "" if there is none."""
    given = arguments.get("call", "")
    return call_reference.normalized(given) if isinstance(given, str) else ""


def request_of(tool: AgentTool, arguments: Mapping[str, object], record: CallRecord, action_id: str) -> Act:
    return Act(record.call_id, action_id, tool.action, tool.arguments_of(arguments), "agent")


def fault_in(tool: AgentTool, arguments: Mapping[str, object]) -> str:
    """Return the faults in the arguments of a tool call as sentences, "" if they are valid."""
    return tool.fault_in({name: value for name, value in arguments.items() if name != "call"})


def refusal_of(
    tool: AgentTool, act: Act, record: CallRecord, referred: ReferredCall, now_ms: int, targets: Collection[str] = ()
) -> str:
    """Return why the action is not possible now, "" if it is possible. `targets`: names in the routing policy."""
    if tool.name not in referred.tools:
        return f"{tool.name} is not allowed in this call; these are: {', '.join(referred.tools) or 'none'}."
    if record.status is not Status.CONNECTED:
        return "The call has ended." if record.status in (Status.ENDING, Status.ENDED) else "The call is not connected."
    if record.closing and tool.action != "note":
        return "The call is already being ended."
    if act.action == TRANSFER and (fault := transfer_under_way(record)):
        return f"{fault[0].upper()}{fault[1:]}. Wait for its outcome."
    if fault := unknown_target(act.action, json.loads(act.arguments), targets, referred.targets):
        return f"{fault[0].upper()}{fault[1:]}."
    if limit := limit_fault(record, act.action, act.by, now_ms):
        return f"{limit[0].upper()}{limit[1:]}. Continue the conversation without it."
    return ""


def known_answer(tool: AgentTool, act: Act, record: CallRecord, now_ms: int) -> Answer | None:
    """Return the answer to a repeated request, which is that of the first one; `None` for a new request."""
    action = earlier(record, act, now_ms)
    return None if action is None else answer_to(tool, action)


def answer_to(tool: AgentTool, action: CallAction) -> Answer:
    if action.state in ("failed", "canceled"):
        return refused(action.reason)
    return {"ok": True, "state": action.state, "say": tool.accepted}


def accepted(tool: AgentTool) -> Answer:
    return {"ok": True, "state": "accepted", "say": tool.accepted}


def unknown_tool(name: str) -> Answer:
    return refused(f"There is no tool {name[:64]!a}; the tools are {', '.join(AGENT_TOOLS)}.")


def tool_named(name: str) -> AgentTool | None:
    return AGENT_TOOLS.get(name)
