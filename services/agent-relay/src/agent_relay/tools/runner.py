"""Function tools that the relay runs for the agent."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from agent_relay.core.dialog.typed_digits import TypedDigits
from bridge_common.base.errors import BridgeError, InputError
from bridge_common.base.log import fields
from bridge_common.observability.telemetry import Label, counter, histogram

log = logging.getLogger(__name__)

_CALLS: Final = counter(
    "bridge_tool_calls_total",
    "Function calls of agents that the relay ran, by outcome",
    Label("outcome", ("done", "rejected", "failed")),
)
_DURATION: Final = histogram(
    "bridge_tool_call_seconds",
    "Duration of function calls that the relay ran, retries included",
    (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0),
)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function call of the agent. `key` identifies it across retries and relays."""

    key: str
    call_id: str
    arguments: str
    """JSON text from the model."""
    typed: TypedDigits | None = None
    """An argument that the caller typed."""

    def redacted(self, text: str) -> str:
        """Return the text without what the caller typed."""
        return text if self.typed is None else self.typed.redacted(text)


@dataclass(frozen=True, slots=True)
class Tool:
    """A runnable tool. `run` returns the output as text; the message of a `BridgeError` that it raises is for the
    agent.
    """

    run: Callable[[ToolCall], Awaitable[str]]
    limit_s: float = 10.0


async def run_tool(tools: Mapping[str, Tool], name: str, call: ToolCall) -> str:
    """Return the tool's output, or an error for the agent, which waits for an output in any case."""
    began = time.monotonic()
    outcome, output = await _outcome(tools[name], name, call)
    _CALLS.labels(outcome).inc()
    _DURATION.observe(time.monotonic() - began)
    return output


async def _outcome(tool: Tool, name: str, call: ToolCall) -> tuple[str, str]:
    """Return the outcome for the metric, and the output."""
    try:
        async with asyncio.timeout(tool.limit_s):
            return "done", call.redacted(await tool.run(call))
    except TimeoutError:
        outcome, why = "failed", "The function did not answer in time."
    except InputError as error:
        outcome, why = "rejected", error.message
    except BridgeError as error:
        outcome, why = "failed", error.message
    except Exception:
        log.exception("tool failed", extra=fields(call_id=call.call_id, tool=name))
        outcome, why = "failed", "The function failed."
    return outcome, json.dumps({"error": call.redacted(why)})
