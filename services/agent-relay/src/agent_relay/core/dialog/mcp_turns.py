"""Calls of MCP servers, which Voice Live makes itself in model modes.

The service does not speak after such a call: the relay requests the response once all calls have ended. It also decides
about the approvals for which the service asks.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from agent_relay.core.dialog.agent_speech import AgentSpeech
from agent_relay.core.dialog.conversation_commands import Command, Record, WallClock
from agent_relay.core.dialog.history import (
    OUTCOME_UNKNOWN,
    RUNNING,
    TOOL_BEGUN,
    TOOL_CALL,
    History,
    ToolUse,
    tool_notice,
)
from agent_relay.core.dialog.prompts import Prompts
from agent_relay.core.dialog.session_profile import SessionProfile
from agent_relay.core.dialog.tool_calls import ToolCalls
from agent_relay.core.protocol.voice_events import (
    FunctionCall,
    McpApproval,
    McpCall,
    McpCallDone,
    McpCallOver,
    McpListFailed,
    McpTools,
    create_approval,
    create_message,
)

LIMIT_S: Final = 110.0
"""A call counts as ended after this time. The service itself waits 100 s for a server."""
START_S: Final = 5.0
"""Longest time from the approval to the beginning of the call. Then the agent is asked to continue."""
NOT_APPROVED: Final = "It is not approved in this call. Tell the caller that you cannot do this."
McpReport: TypeAlias = McpTools | McpListFailed | McpCallOver | McpCallDone


class McpTurns:
    """The MCP calls of one phone call. They count as running `calls` until they have ended."""

    def __init__(
        self,
        profile: SessionProfile,
        history: History,
        prompts: Prompts,
        clock: WallClock,
        speech: AgentSpeech,
        calls: ToolCalls,
    ) -> None:
        self._profile = profile
        self._history = history
        self._prompts = prompts
        self._clock = clock
        self._speech = speech
        self._calls = calls
        self._running: dict[str, tuple[str, float]] = {}
        """The name of the tool and the time limit, by id of the call or of its approved request."""
        self._approved: dict[str, str] = {}
        """Approved requests whose call has not begun: the tool by id."""
        self._labels: dict[str, str] = {}

    def next_at(self) -> float | None:
        return min((limit for _, limit in self._running.values()), default=None)

    def tick(self, now: float) -> None:
        for item_id in [item_id for item_id, (_, limit) in self._running.items() if now >= limit]:
            self._over(item_id)

    def called(self, event: McpCall, response_id: str, now: float) -> list[Command]:
        asked = next((id_ for id_, name in self._approved.items() if name == event.name), "")
        if asked:
            self._forget(asked)
        self._begin(event.item_id, event.name, "", response_id, now, limit_s=LIMIT_S)
        begun = ToolUse(event.item_id, event.name, "{}", RUNNING)
        return [self._record(TOOL_BEGUN, begun, now)]

    def asked(self, event: McpApproval, response_id: str, now: float) -> list[Command]:
        """Approve or refuse a call. The decision is immediate, because the caller waits."""
        approve = event.name in self._profile.approved.get(event.server_label, ())
        answer = [create_approval(event.item_id, approve=approve)]
        detail = f"{event.server_label}.{event.name}: {'approved' if approve else 'refused'}"
        commands: list[Command] = [self._clock.notice("mcp_approval", detail, now)]
        self._begin(event.item_id, event.name, event.arguments, response_id, now, limit_s=START_S)
        if approve:
            self._approved[event.item_id] = event.name
            return commands + self._prompts.to_session(answer)
        self._over(event.item_id)
        refusal = f"The tool {event.name} was not run. {NOT_APPROVED}"
        return commands + self._prompts.to_session([*answer, create_message("system", refusal)])

    def reported(self, event: McpReport, now: float) -> list[Command]:
        match event:
            case McpTools():
                self._labels[event.item_id] = event.server_label
            case McpListFailed():
                label = self._labels.get(event.item_id, "")
                text = f"The tools of {label or 'an MCP server'} are not available in this call."
                notice = self._clock.notice("mcp_list_failed", label, now)
                return [notice, *self._prompts.to_session([create_message("system", text)])]
            case McpCallOver():
                self._over(event.item_id)
            case McpCallDone():
                self._over(event.item_id)
                use = ToolUse(event.item_id, event.name, event.arguments, event.output)
                self._history.tool(use)
                return [self._record(TOOL_CALL, use, now)]
        return []

    def session_lost(self) -> bool:
        """Return whether calls were lost with their session. It is unknown whether they were carried out."""
        lost = list(self._running)
        for item_id in lost:
            name, _ = self._running[item_id]
            if item_id not in self._approved:
                self._history.tool(ToolUse(item_id, name, "{}", OUTCOME_UNKNOWN))
            self._over(item_id)
        self._labels.clear()
        return bool(lost)

    def _begin(self, item_id: str, name: str, arguments: str, response_id: str, now: float, *, limit_s: float) -> None:
        self._calls.begin(FunctionCall(response_id, item_id, item_id, name, arguments), self._speech.session)
        self._running[item_id] = (name, now + limit_s)
        self._prompts.owed.called_tool(response_id, now)

    def _over(self, item_id: str) -> None:
        if self._running.pop(item_id, None) is not None:
            self._calls.over(item_id)
        self._approved.pop(item_id, None)

    def _forget(self, item_id: str) -> None:
        self._running.pop(item_id, None)
        self._approved.pop(item_id, None)
        self._calls.forget(item_id)

    def _record(self, what: str, use: ToolUse, now: float) -> Command:
        return Record(tool_notice(what, use, self._clock.unix_ms(now)))
