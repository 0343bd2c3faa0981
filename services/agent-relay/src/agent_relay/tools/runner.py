"""Function tools that the relay runs for the agent."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from bridge_common.base.errors import BridgeError
from bridge_common.base.log import fields

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 10.0
Tool: TypeAlias = Callable[[str], Awaitable[str]]
"""Receives its arguments as JSON text and returns its output as text."""


async def run_tool(tools: Mapping[str, Tool], name: str, arguments: str, timeout_s: float = TIMEOUT_S) -> str:
    """Output of the tool, or a JSON error: the agent waits for an output in any case."""
    try:
        async with asyncio.timeout(timeout_s):
            return await tools[name](arguments)
    except TimeoutError:
        why = "The function did not answer in time."
    except BridgeError as error:
        why = error.message
    except Exception:
        log.exception("tool failed", extra=fields(tool=name))
        why = "The function failed."
    return json.dumps({"error": why})
