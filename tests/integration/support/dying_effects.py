"""Effects of a replica of call-control that dies while it executes commands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bridge_common.wire.call_record import CallRecord
from call_control.core.machine.call_commands import AtOnce
from call_control.core.machine.call_events import CommandDone, CommandFailed
from call_control.effects import Effects


class DyingEffects:
    """Executes some commands, then hangs: before the next one, or after it, before its result is saved."""

    def __init__(self, effects: Effects, commands: int, *, after: bool) -> None:
        self._effects = effects
        self._left = commands
        self._after = after
        self.died = asyncio.Event()

    async def run(self, record: CallRecord, commands: Sequence[AtOnce]) -> list[CommandDone | CommandFailed]:
        in_time, late = commands[: self._left], commands[self._left :]
        self._left -= len(in_time)
        results = await self._effects.run(record, in_time)
        if not late:
            return results
        if self._after and not self.died.is_set():
            await self._effects.run(record, late[:1])
        self.died.set()
        await asyncio.Event().wait()
        raise AssertionError
