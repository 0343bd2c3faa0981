"""Faults that make a process unready if they last, and the commands that Redis rejects permanently."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bridge_common.base.errors import OutsideError


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the process. `age_s`: how long it has lasted; infinite if it has never worked."""

    reason: str
    age_s: float


class Refusals:
    """Shards on which Redis rejects commands of this process, for example because of a wrong ACL. Outages
    do not count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.worked_once = False
        """Whether a command was ever executed. Before that, nothing is known about the rights of this process."""
        self._clock = clock
        self._reasons: dict[object, str] = {}
        self._since = 0.0

    def failed(self, shard: object, error: OutsideError) -> None:
        self._note(shard, "" if error.retry else error.message)

    def worked(self, shard: object) -> None:
        self.worked_once = True
        self._note(shard, "")

    @property
    def fault(self) -> Fault | None:
        """The fault if all shards reject commands."""
        reason = self._reason()
        return Fault(reason, self._clock() - self._since) if reason else None

    def _note(self, shard: object, reason: str) -> None:
        was_refused = self._reason()
        self._reasons[shard] = reason
        if not was_refused:
            self._since = self._clock()

    def _reason(self) -> str:
        reasons = list(self._reasons.values())
        return reasons[0] if reasons and all(reasons) else ""
