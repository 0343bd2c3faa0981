"""Function calls of the agent, from the call to its answer."""

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
    """One new response is requested after all calls of a response are answered and that response is done."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[FunctionCall, int]] = {}
        self._answered = False

    @property
    def running(self) -> bool:
        return bool(self._running)

    def begin(self, call: FunctionCall, session: int) -> None:
        self._running[call.call_id] = (call, session)

    def answer(self, call_id: str, output: str, session: int) -> tuple[ToolUse, list[ClientEvent]] | None:
        """The record of the call and the events to send; None for a call that is not running.

        If another session made the call, the events begin with the call itself.
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

    def called_in(self, response_id: str) -> bool:
        return self._answered or any(call.response_id == response_id for call, _ in self._running.values())

    def drop_answer(self) -> bool:
        """The response to the answers is no longer wanted. Whether it was due."""
        answered, self._answered = self._answered, False
        return answered

    def response_due(self) -> bool:
        """True once after all running calls are answered."""
        return not self._running and self.drop_answer()
