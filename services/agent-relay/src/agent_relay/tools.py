"""The functions that the agent may call through us, by name, and how a call of one always ends in an answer."""

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
"""Takes the arguments as JSON text and returns the output as text."""


async def run_tool(tools: Mapping[str, Tool], name: str, arguments: str) -> str:
    """The tool's output, or an error that the agent can tell the caller: it waits for an answer in any case."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await tools[name](arguments)
    except TimeoutError:
        why = "The function did not answer in time."
    except BridgeError as error:
        why = error.message
    except Exception:
        log.exception("tool failed", extra=fields(tool=name))
        why = "The function failed."
    return json.dumps({"error": why})
