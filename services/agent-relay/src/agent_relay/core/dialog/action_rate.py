"""Rate limit for the actions of an agent. call-control applies the same limit, but its refusal arrives later."""

from __future__ import annotations

from collections import deque
from typing import Final

from bridge_common.wire.action_kinds import AGENT_ACTIONS, AGENT_WINDOW_S

TOO_MANY: Final = f"Too many actions within {AGENT_WINDOW_S} s. Continue the conversation without it."


class ActionRate:
    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=AGENT_ACTIONS)

    def take(self, now: float) -> bool:
        """Return whether another action is allowed, and count it. `now`: monotonic seconds."""
        if len(self._times) == AGENT_ACTIONS and now - self._times[0] < AGENT_WINDOW_S:
            return False
        self._times.append(now)
        return True
