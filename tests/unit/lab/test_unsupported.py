from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from lab.unsupported import MAX_ENTRIES, PretendedError, Unsupported

_START = datetime(2026, 11, 30, tzinfo=UTC)


def _unsupported(*, strict: bool = False) -> Unsupported:
    seconds = count()
    return Unsupported(strict=strict, clock=lambda: _START + timedelta(seconds=next(seconds)))


def test_each_use_is_listed_once_in_the_order_of_the_first() -> None:
    unsupported = _unsupported()
    for what, where in (("played once", "play.loop"), ("ignored", "answer.new"), ("played once", "play.loop")):
        unsupported.used(what, where)
    assert unsupported.json() == [
        {"what": "played once", "where": "play.loop", "since": "2026-11-30T00:00:00.000+00:00"},
        {"what": "ignored", "where": "answer.new", "since": "2026-11-30T00:00:01.000+00:00"},
    ]


def test_strict_refuses_and_lists() -> None:
    unsupported = _unsupported(strict=True)
    for _ in range(2):
        with pytest.raises(PretendedError, match=r"play\.loop: played once"):
            unsupported.used("played once", "play.loop")
    assert len(unsupported.json()) == 1


def test_the_list_does_not_grow_without_end() -> None:
    unsupported = _unsupported()
    for number in range(MAX_ENTRIES + 1):
        unsupported.used("ignored", f"answer.field{number}")
    assert len(unsupported.json()) == MAX_ENTRIES
