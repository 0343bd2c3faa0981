"""Function calls of the agent, from the call to its output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent_relay.core.dialog.history import ToolUse
from agent_relay.core.protocol.voice_events import (
    ClientEvent,
    FunctionCall,
    create_function_call,
    create_function_output,
)

NOT_AVAILABLE: Final = '{"error":"This function is not available."}'
STILL_RUNNING: Final = (
    '{"state": "still running", "say": "Tell the caller that this takes longer and that you will report the result. '
    'Do not call the function again."}'
)


@dataclass(frozen=True, slots=True)
class _Running:
    call: FunctionCall
    session: int
    """Number of the voice session that made the call."""
    late_at: float | None


class ToolCalls:
    """Tracks the agent's function calls in one phone call. One new response is requested after all functions that a
    response called have returned and that response has ended.

    A late function is answered with `STILL_RUNNING`; its result follows in `late_result`.
    """

    def __init__(self) -> None:
        self._running: dict[str, _Running] = {}
        self._late: dict[str, FunctionCall] = {}
        self._joined: dict[str, str] = {}
        """Calls that are answered with the output of an equal one: their id, and the id of the other."""
        self._answered = False

    @property
    def running(self) -> bool:
        return bool(self._running)

    @property
    def late(self) -> bool:
        """Whether a function is running whose result the agent receives later."""
        return bool(self._late)

    @property
    def late_at(self) -> float | None:
        """When the next function becomes late."""
        return min((one.late_at for one in self._running.values() if one.late_at is not None), default=None)

    def begin(self, call: FunctionCall, session: int, late_at: float | None = None) -> None:
        self._running[call.call_id] = _Running(call, session, late_at)

    def equal(self, call: FunctionCall) -> str:
        """Return the id of a running call that another response has made with the same arguments, "" if there is
        none. After an interruption, models repeat a call.
        """
        others = [*(one.call for one in self._running.values()), *self._late.values()]
        same = (one for one in others if (one.name, one.arguments) == (call.name, call.arguments))
        return next((one.call_id for one in same if one.response_id != call.response_id), "")

    def join(self, call_id: str, other: str) -> None:
        """Answer a call with the output of another one."""
        self._joined[call_id] = other

    def joined(self, call_id: str) -> list[str]:
        """Remove and return the calls that get the output of this one."""
        found = [one for one, other in self._joined.items() if other == call_id]
        for one in found:
            del self._joined[one]
        return found

    def forget(self, call_id: str) -> bool:
        """Drop a call that another one replaces. Return whether it was running."""
        return self._running.pop(call_id, None) is not None

    def over(self, call_id: str) -> bool:
        """Handle the end of a call that the service runs itself. Return whether it was running."""
        running = self.forget(call_id)
        self._answered = self._answered or running
        return running

    def is_late(self, call_id: str) -> bool:
        return call_id in self._late

    def take_late(self, now: float) -> list[str]:
        """Return the calls that have become late; the result of each one follows."""
        due = [one.call for one in self._running.values() if one.late_at is not None and now >= one.late_at]
        self._late |= {call.call_id: call for call in due}
        return [call.call_id for call in due]

    def late_result(self, call_id: str, output: str) -> ToolUse:
        call = self._late.pop(call_id)
        return ToolUse(call_id, call.name, call.arguments, output)

    def answer(self, call_id: str, output: str, session: int) -> tuple[ToolUse, list[ClientEvent]] | None:
        """Return the record of the function call and the events to send; None for a function call that is not running.

        If another session made the function call, the events begin with the function call itself.
        """
        running = self._running.pop(call_id, None)
        if running is None:
            return None
        call = running.call
        use = ToolUse(call_id, call.name, call.arguments, output)
        events = [create_function_output(call_id, output)]
        if running.session != session:
            events.insert(0, create_function_call(call_id, call.name, call.arguments))
        self._answered = True
        return use, events

    def running_for(self, response_id: str) -> bool:
        """Return whether a function that this response called has not returned."""
        return any(one.call.response_id == response_id for one in self._running.values())

    def called_in(self, response_id: str) -> bool:
        return self._answered or self.running_for(response_id)

    def drop_answer(self) -> bool:
        """Request no response to the function outputs. Return whether one was due."""
        answered, self._answered = self._answered, False
        return answered

    def response_due(self) -> bool:
        """Return True once after all running functions have returned."""
        return not self._running and self.drop_answer()
