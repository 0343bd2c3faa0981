"""Limits of the agent's function calls: how many one response may make, how long their arguments may be."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final

from agent_relay.core.protocol.voice_events import FunctionCall

MOST_CALLS: Final = 16
"""Function calls of one response that are run."""
MOST_ARGUMENT_CHARS: Final = 16 * 1024
_STORED_CHARS: Final = 1000
_RESPONSES_KEPT: Final = 16
TOO_MANY: Final = json.dumps(
    {"error": f"Not carried out: a response can call at most {MOST_CALLS} functions. Call fewer functions at once."}
)
TOO_LONG: Final = json.dumps(
    {"error": f"Not carried out: the arguments have more than {MOST_ARGUMENT_CHARS} characters. Shorten them."}
)
INTERRUPTED: Final = json.dumps(
    {"error": "Not carried out: the caller interrupted you before the call. Call the function again if still needed."}
)


class CallLimits:
    """`actions`: functions that are not counted here, because they have a limit of their own (`action_rate`)."""

    def __init__(self, actions: Collection[str] = ()) -> None:
        self._actions = actions
        self._positions: dict[str, dict[str, int]] = {}
        """By response and call: the position of the call in its response."""

    def fault(self, event: FunctionCall, *, interrupted: bool) -> str:
        """Return the output of a function call that must not run, "" if it may run."""
        # Calls without a response cannot be counted: the number would never begin again.
        counted = event.response_id and event.name not in self._actions
        positions = self._positions.setdefault(event.response_id, {}) if counted else {}
        if len(self._positions) > _RESPONSES_KEPT:
            del self._positions[next(iter(self._positions))]
        if positions.setdefault(event.call_id, len(positions)) >= MOST_CALLS:
            return TOO_MANY
        if len(event.arguments) > MOST_ARGUMENT_CHARS:
            return TOO_LONG
        return INTERRUPTED if interrupted else ""

    def response_done(self, response_id: str) -> None:
        """Count from zero again, because some services reuse the ids of ended responses."""
        self._positions.pop(response_id, None)


def shortened(arguments: str) -> str:
    """Return the arguments as they are stored: JSON in any case."""
    if len(arguments) <= MOST_ARGUMENT_CHARS:
        return arguments
    return json.dumps({"shortened": arguments[:_STORED_CHARS]})
