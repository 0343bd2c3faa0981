"""What a simulator accepts but only pretends: listed with its uses at `GET /lab/unsupported`, refused when strict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

IGNORED: Final = "the field is ignored"
MAX_UNKNOWN: Final = 1000
"""Fields that the simulator does not know come from requests, so their number is bounded: more are not listed."""


class PretendedError(Exception):
    """Strict mode: the request relies on something that the simulator would only pretend."""


@dataclass(slots=True)
class _Uses:
    what: str
    count: int = 0
    since: datetime | None = None


class Unsupported:
    """`known`: what happens instead of the real thing, by where it is asked for (operation and field)."""

    def __init__(
        self, known: Mapping[str, str], *, strict: bool, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.strict = strict
        self._clock = clock
        self._uses = {where: _Uses(what) for where, what in known.items()}
        self._most = len(known) + MAX_UNKNOWN

    def used(self, where: str) -> None:
        """Raises `PretendedError` when strict."""
        uses = self._uses.get(where) or _Uses(IGNORED)
        if len(self._uses) < self._most or where in self._uses:
            self._uses[where] = uses
        uses.count += 1
        uses.since = uses.since or self._clock()
        if self.strict:
            raise PretendedError(f"{where}: {uses.what}")

    def json(self) -> list[dict[str, object]]:
        """`since`: the first use in UTC, ISO 8601; null if there was none."""
        return [
            {
                "what": uses.what,
                "where": where,
                "used": uses.count,
                "since": uses.since and uses.since.isoformat(timespec="milliseconds"),
                "refused_when_strict": True,
            }
            for where, uses in self._uses.items()
        ]
