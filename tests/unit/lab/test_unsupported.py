from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from lab.unsupported import MAX_UNKNOWN, PretendedError, Unsupported

_START = datetime(2026, 11, 30, tzinfo=UTC)
_KNOWN = {"play.loop": "played once", "hold.source": "silence"}


def _unsupported(*, strict: bool = False) -> Unsupported:
    seconds = count()
    return Unsupported(_KNOWN, strict=strict, clock=lambda: _START + timedelta(seconds=next(seconds)))


def test_everything_known_is_listed_with_its_uses_and_what_turned_up_besides() -> None:
    unsupported = _unsupported()
    for where in ("answer.new", "play.loop", "answer.new"):
        unsupported.used(where)
    refused = {"refused_when_strict": True}
    assert unsupported.json() == [
        {"what": "played once", "where": "play.loop", "used": 1, "since": "2026-11-30T00:00:01.000+00:00"} | refused,
        {"what": "silence", "where": "hold.source", "used": 0, "since": None} | refused,
        {"what": "the field is ignored", "where": "answer.new", "used": 2, "since": "2026-11-30T00:00:00.000+00:00"}
        | refused,
    ]


def test_a_simplified_feature_is_listed_but_not_refused() -> None:
    unsupported = Unsupported(_KNOWN, {"voice": "all sound the same"}, strict=True)
    assert [row["refused_when_strict"] for row in unsupported.json()] == [True, True, False]


def test_several_uses_are_counted_together() -> None:
    unsupported = _unsupported()
    unsupported.used("play.loop", "hold.source")
    unsupported.used()
    assert [row["used"] for row in unsupported.json()] == [1, 1]


def test_strict_refuses_and_counts() -> None:
    unsupported = _unsupported(strict=True)
    for _ in range(2):
        with pytest.raises(PretendedError, match=r"play\.loop: played once"):
            unsupported.used("play.loop")
    assert unsupported.json()[0]["used"] == 2


def test_the_list_does_not_grow_without_end() -> None:
    unsupported = _unsupported()
    for number in range(MAX_UNKNOWN + 1):
        unsupported.used(f"answer.field{number}")
    assert len(unsupported.json()) == len(_KNOWN) + MAX_UNKNOWN
    assert _unsupported().json()[0]["used"] == 0
