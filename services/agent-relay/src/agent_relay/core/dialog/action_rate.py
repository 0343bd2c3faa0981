"""Rate limit for the actions of an agent. call-control applies the same limit, but its refusal arrives later."""

from __future__ import annotations

from collections import deque
from typing import Final

from bridge_common.wire.action_kinds import AGENT_ACTIONS, AGENT_WINDOW_S, HANG_UP

TOO_MANY: Final = f"Too many actions within {AGENT_WINDOW_S} s. Continue the conversation without it."


class ActionRate:
    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=AGENT_ACTIONS)

    def fault_of(self, action: str, now: float) -> str:
        """Count the action and return "", or return why it is not allowed now. `now`: monotonic seconds."""
        if action == HANG_UP:
            return ""
        if len(self._times) == AGENT_ACTIONS and now - self._times[0] < AGENT_WINDOW_S:
            return TOO_MANY
        self._times.append(now)
        return ""
