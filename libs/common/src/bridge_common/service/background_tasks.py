"""Background tasks of a process. If one fails, the process exits.

A failed task cannot be repaired in the process, and without it calls lose audio although probes succeed. So the process
exits at once with code 1: leases expire within a second and other processes take over the calls, long before a probe
would fail. Until then, /livez reports the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

from bridge_common.base.log import fields

log = logging.getLogger(__name__)


class BackgroundTasks:
    def __init__(self) -> None:
        self.failure = ""
        """Reason of the failure, or empty."""
        self._tasks: list[asyncio.Task[None]] = []
        self._failed = asyncio.Event()
        self._stopping = False

    def start(self, name: str, work: Coroutine[Any, Any, None], *, may_end: bool = False) -> asyncio.Task[None]:
        """Run `work` in a task until `stop`. It must not raise, and may return only with `may_end`. To end it earlier,
        cancel the task.
        """
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(lambda ended: self._ended(ended, may_end=may_end))
        self._tasks.append(task)
        return task

    @property
    def running(self) -> bool:
        """Whether tasks were started and none has failed."""
        return bool(self._tasks) and not self.failure

    async def failed(self) -> str:
        """Wait until a task has failed, and return the reason."""
        await self._failed.wait()
        return self.failure

    async def stop(self) -> None:
        """Cancel the tasks one after the other, in the order of their start."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task

    def _ended(self, task: asyncio.Task[None], *, may_end: bool) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if self._stopping or (error is None and may_end):
            return
        log.critical("a background task has stopped", extra=fields(task=task.get_name()), exc_info=error)
        self.failure = self.failure or f"{task.get_name()} has stopped"
        self._failed.set()
