"""What clients used of a simulator that it accepts but only pretends: listed at `GET /lab/unsupported`, refused when
strict.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

MAX_ENTRIES: Final = 1000
"""Names come from requests, so their number is bounded; what comes later is refused or ignored, but not listed."""


class PretendedError(Exception):
    """Strict mode: the request relies on something that the simulator would only pretend."""


class Unsupported:
    """Each pretended feature is listed once, with the time of its first use."""

    def __init__(self, *, strict: bool, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.strict = strict
        self._clock = clock
        self._since: dict[tuple[str, str], datetime] = {}

    def used(self, what: str, where: str) -> None:
        """`what` happens instead of the real thing; `where`: operation and field. Raises `PretendedError`."""
        key = what, where
        if key not in self._since and len(self._since) < MAX_ENTRIES:
            self._since[key] = self._clock()
        if self.strict:
            raise PretendedError(f"{where}: {what}")

    def json(self) -> list[dict[str, str]]:
        """In the order of first use; `since` is UTC, ISO 8601."""
        return [
            {"what": what, "where": where, "since": since.isoformat(timespec="milliseconds")}
            for (what, where), since in self._since.items()
        ]
