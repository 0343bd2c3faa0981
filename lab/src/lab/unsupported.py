"""Counts requests for features that have no effect in a simulator. `GET /lab/unsupported` lists them; strict mode
rejects them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

IGNORED: Final = "the field is ignored"
MAX_UNKNOWN: Final = 1000
"""Maximum number of listed fields that are unknown to the simulator; clients choose their names."""


class PretendedError(Exception):
    """In strict mode: the request uses a feature that has no effect in the simulator."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


@dataclass(slots=True)
class _Uses:
    what: str
    refused: bool = True
    count: int = 0
    since: datetime | None = None


class Unsupported:
    """Uses of features that have no effect. `known`: what the simulator does instead, by operation and field.
    `simplified`: the same for features that strict mode accepts.
    """

    def __init__(
        self,
        known: Mapping[str, str],
        simplified: Mapping[str, str] = MappingProxyType({}),
        *,
        strict: bool,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._strict = strict
        self._clock = clock
        self._uses = {where: _Uses(what) for where, what in known.items()}
        self._uses |= {where: _Uses(what, refused=False) for where, what in simplified.items()}
        self._limit = len(self._uses) + MAX_UNKNOWN

    def used(self, *places: str) -> None:
        """Count one use of each feature. In strict mode, raises `PretendedError` for the first feature."""
        for where in places:
            uses = self._uses.get(where) or _Uses(IGNORED)
            if len(self._uses) < self._limit or where in self._uses:
                self._uses[where] = uses
            uses.count += 1
            uses.since = uses.since or self._clock()
            if self._strict:
                raise PretendedError(where, uses.what)

    def json(self) -> list[dict[str, object]]:
        """Return the features with their uses. `since`: time of the first use in UTC, ISO 8601; null if there was
        none.
        """
        return [
            {
                "what": uses.what,
                "where": where,
                "used": uses.count,
                "since": uses.since and uses.since.isoformat(timespec="milliseconds"),
                "refused_when_strict": uses.refused,
            }
            for where, uses in self._uses.items()
        ]
