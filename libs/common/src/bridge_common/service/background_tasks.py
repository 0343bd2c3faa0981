"""The background work of a process. A part that dies takes the process with it.

Nothing in here can be mended from inside: a part that raised would raise again, and without it calls are deaf or mute
while everything looks well. So the process ends, at once and with exit code 1: leases lapse within a second and other
processes have the calls, long before a probe would have noticed. Until it is gone, /livez says why.
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
        """Which part has stopped, and must not have."""
        self._tasks: list[asyncio.Task[None]] = []
        self._failed = asyncio.Event()
        self._stopping = False

    def start(self, name: str, work: Coroutine[Any, Any, None], *, may_end: bool = False) -> asyncio.Task[None]:
        """Run it until `stop`. With `may_end` it may return; nothing may raise. To end one early, cancel its task."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(lambda ended: self._ended(ended, may_end=may_end))
        self._tasks.append(task)
        return task

    @property
    def running(self) -> bool:
        """Whether anything was started, and nothing has failed."""
        return bool(self._tasks) and not self.failure

    async def failed(self) -> str:
        """Return when a part has failed: which."""
        await self._failed.wait()
        return self.failure

    async def stop(self) -> None:
        """End the parts one after the other, in the order of their start."""
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
        log.critical("a part of the process has stopped", extra=fields(part=task.get_name()), exc_info=error)
        self.failure = self.failure or f"{task.get_name()} has stopped"
        self._failed.set()
