"""An outage in the log: one line when it begins and one when it is over, however often things are tried meanwhile."""

from __future__ import annotations

import logging
import time

from bridge_common.log import fields


class Outage:
    """`doing` is what does not work while it lasts, e.g. `renewing leases`."""

    def __init__(self, log: logging.Logger, doing: str) -> None:
        self._log = log
        self._doing = doing
        self._since: float | None = None
        self._failures = 0

    def failed(self, **values: object) -> None:
        """It did not work. `values` are the fields of the line, if this is the first time."""
        self._failures += 1
        if self._since is None:
            self._since = time.monotonic()
            self._log.warning("%s fails", self._doing, extra=fields(**values))

    def worked(self) -> None:
        """It worked; says so when it had not."""
        if self._since is not None:
            lasted_s = round(time.monotonic() - self._since, 3)
            self._log.warning(
                "%s works again",
                self._doing,
                extra=fields(lasted_s=lasted_s, failures=self._failures),
            )
            self._since, self._failures = None, 0
