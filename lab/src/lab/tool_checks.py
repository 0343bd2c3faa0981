"""Checks of the agent's tool calls: functions that the client runs, and tools that the agent's platform or Voice Live
calls.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.call_checks import CallCheck
from lab.scenario_checks import FUNCTION_REMEDY
from lab.scenario_outcome import ExpectedTool
from lab.wire import Json

_LONGEST = 200
"""Maximum number of characters of an answer in a figure."""


@dataclass(frozen=True, slots=True)
class ObservedToolCall:
    """One tool call. `outcome`: as in `ExpectedTool`; `answer`: what the agent got, "" for nothing."""

    name: str
    outcome: str
    answer: str = ""


def tool_checks(expected: Sequence[ExpectedTool] | None, sessions: Sequence[Json]) -> Iterator[CallCheck]:
    """`sessions`: those of the call in the simulated Voice Live, as its control API returns them. `expected`: None if
    the scenario lists none; then all calls must be `ok`.
    """
    yield from _known_forms(sessions)
    uses = tool_uses(sessions)
    if expected is None:
        failed = [use for use in uses if use.outcome != "ok"]
        if uses:
            figure = "; ".join(map(_in_full, failed)) or f"{len(uses)} of {len(uses)}"
            remedy = "; if the scenario expects this, list it in `expect.tools`" if failed else ""
            yield CallCheck("the agent's tool calls succeed", not failed, figure + remedy)
        return
    wanted: Counter[tuple[str, str]] = Counter()
    for one in expected:
        wanted[one.name, one.outcome] += one.times
    found = Counter((use.name, use.outcome) for use in uses)
    claim = f"the agent's tool calls are {_listed(wanted)}"
    unexpected = [_in_full(use) for use in uses if found[use.name, use.outcome] > wanted[use.name, use.outcome]]
    yield CallCheck(claim, found == wanted, "; ".join([_listed(found), *unexpected]))


def tool_uses(sessions: Sequence[Json]) -> list[ObservedToolCall]:
    """Return the tool calls in the order of time."""
    outputs = {
        str(item["call_id"]): str(item.get("output") or "")
        for session in sessions
        for item in session["items"]
        if item["type"] == "function_call_output"
    }
    rows = [row for session in sessions for row in session["timeline"]]
    return [use for row in sorted(rows, key=lambda row: float(row["t"])) if (use := _use(row, outputs)) is not None]


def _use(row: Json, outputs: dict[str, str]) -> ObservedToolCall | None:
    match row["event"]:
        case "function_call" if row["status"] == "completed":
            output = outputs.get(str(row["call_id"]))
            return (
                _answered(str(row["name"]), output)
                if output is not None
                else ObservedToolCall(row["name"], "unanswered")
            )
        case "agent_function" if row["form"] in ("stalled", "failed"):
            return ObservedToolCall(str(row["name"]), "unanswered", f"the service did not hand it over: {row['form']}")
        case "mcp_call":
            answered = _answered(str(row["name"]), str(row["answer"]))
            return answered if row["ok"] else ObservedToolCall(answered.name, "failed", answered.answer)
        case "agent_tool" if row["status"] == 200:
            return _answered(str(row["name"]), str(row["answer"]))
        case "agent_tool":
            return ObservedToolCall(str(row["name"]), "failed", f"status {row['status']}: {row['answer']}")
    return None


def _answered(name: str, answer: str) -> ObservedToolCall:
    try:
        content = json.loads(answer)
    except ValueError:
        content = None
    refused = isinstance(content, dict) and (content.get("ok") is False or bool(content.get("error")))
    return ObservedToolCall(name, "failed" if refused else "ok", answer)


def _known_forms(sessions: Sequence[Json]) -> Iterator[CallCheck]:
    """A function call in agent mode for which no fault selects a form."""
    rows = [row for session in sessions for row in session["timeline"]]
    if unknown := [str(row["name"]) for row in rows if row["event"] == "agent_function" and not row["form"]]:
        figure = f"`call` of {', '.join(unknown)} in agent mode: {FUNCTION_REMEDY}"
        yield CallCheck("Voice Live could play the scenario", False, figure)


def _listed(counted: Counter[tuple[str, str]]) -> str:
    rows = [f"{count} × {name} {outcome}" for (name, outcome), count in sorted(counted.items()) if count]
    return ", ".join(rows) or "none"


def _in_full(use: ObservedToolCall) -> str:
    return f"{use.name} {use.outcome}{f': {use.answer[:_LONGEST]}' if use.answer else ''}"
