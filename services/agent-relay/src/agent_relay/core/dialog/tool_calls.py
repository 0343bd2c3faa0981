"""Function calls of the agent, from the call to its output."""

from __future__ import annotations

from typing import Final

from agent_relay.core.dialog.history import ToolUse
from agent_relay.core.protocol.voice_events import (
    ClientEvent,
    FunctionCall,
    create_function_call,
    create_function_output,
)

NOT_AVAILABLE: Final = '{"error":"This function is not available."}'


class ToolCalls:
    """Tracks the agent's function calls in one phone call. One new response is requested after all functions that a
    response called have returned and that response has ended.
    """

    def __init__(self) -> None:
        self._running: dict[str, tuple[FunctionCall, int]] = {}
        self._answered = False

    @property
    def running(self) -> bool:
        return bool(self._running)

    def begin(self, call: FunctionCall, session: int) -> None:
        self._running[call.call_id] = (call, session)

    def answer(self, call_id: str, output: str, session: int) -> tuple[ToolUse, list[ClientEvent]] | None:
        """Return the record of the function call and the events to send; None for a function call that is not running.

        If another session made the function call, the events begin with the function call itself.
        """
        call, made_in = self._running.pop(call_id, (None, 0))
        if call is None:
            return None
        use = ToolUse(call_id, call.name, call.arguments, output)
        events = [create_function_output(call_id, output)]
        if made_in != session:
            events.insert(0, create_function_call(call_id, call.name, call.arguments))
        self._answered = True
        return use, events

    def running_for(self, response_id: str) -> bool:
        """Return whether a function that this response called has not returned."""
        return any(call.response_id == response_id for call, _ in self._running.values())

    def called_in(self, response_id: str) -> bool:
        return self._answered or self.running_for(response_id)

    def drop_answer(self) -> bool:
        """Request no response to the function outputs. Return whether one was due."""
        answered, self._answered = self._answered, False
        return answered

    def response_due(self) -> bool:
        """Return True once after all running functions have returned."""
        return not self._running and self.drop_answer()
