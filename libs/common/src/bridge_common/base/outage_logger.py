"""An outage in the log: one line when it begins and one when it is over, however often things are tried meanwhile.
And refusals, which make a process unready.
"""

from __future__ import annotations

import logging
import time

from bridge_common.base.errors import OutsideError
from bridge_common.base.log import fields


class OutageLogger:
    """`doing` is what does not work while it lasts, e.g. `renewing leases`.

    Several tasks may share one: the outage begins with the first that fails and is over once each of them works again.
    `task` tells them apart.
    """

    def __init__(self, log: logging.Logger, doing: str) -> None:
        self._log = log
        self._doing = doing
        self._since: float | None = None
        self._failures = 0
        self._failing: set[object] = set()

    def failed(self, *, task: object = None, **values: object) -> None:
        """It did not work. `values` are the fields of the line, if this is the first time."""
        self._failures += 1
        self._failing.add(task)
        if self._since is None:
            self._since = time.monotonic()
            self._log.warning("%s fails", self._doing, extra=fields(**values))

    def worked(self, *, task: object = None) -> None:
        """It worked; says so when it had not."""
        self._failing.discard(task)
        if self._since is not None and not self._failing:
            lasted_s = round(time.monotonic() - self._since, 3)
            self._log.warning(
                "%s works again",
                self._doing,
                extra=fields(lasted_s=lasted_s, failures=self._failures),
            )
            self._since, self._failures = None, 0


class Refusals:
    """Work on several shards that Redis refuses to this process, as with a wrong ACL. An outage is no refusal."""

    def __init__(self) -> None:
        self._reasons: dict[object, str] = {}

    def failed(self, shard: object, error: OutsideError) -> None:
        self._reasons[shard] = "" if error.retry else error.message

    def worked(self, shard: object) -> None:
        self._reasons[shard] = ""

    @property
    def reason(self) -> str:
        """Why nothing can be done at all; empty while the work on one shard is not refused."""
        reasons = list(self._reasons.values())
        return reasons[0] if reasons and all(reasons) else ""
