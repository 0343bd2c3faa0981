"""Function tools that the relay runs for the agent."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from agent_relay.core.dialog.typed_digits import TypedDigits
from bridge_common.base.errors import BridgeError
from bridge_common.base.log import fields

log = logging.getLogger(__name__)


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
    tool = tools[name]
    try:
        async with asyncio.timeout(tool.limit_s):
            return call.redacted(await tool.run(call))
    except TimeoutError:
        why = "The function did not answer in time."
    except BridgeError as error:
        why = error.message
    except Exception:
        log.exception("tool failed", extra=fields(call_id=call.call_id, tool=name))
        why = "The function failed."
    return json.dumps({"error": call.redacted(why)})
