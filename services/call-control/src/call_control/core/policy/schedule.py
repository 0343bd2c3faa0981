"""The time condition of a rule: days of the week and hours of the day, in local time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from bridge_common.base.errors import InputError

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES: Final = 24 * 60
_NOT_ZONES: Final = {"localtime", "posixrules", "Factory"}
"""Files in the directory of the zones that are not zones, or whose meaning depends on the machine."""
_HOURS: Final = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])\s*-\s*([01]?[0-9]|2[0-4]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class DaySpan:
    """Days of the week from `first` to `last`, both included. 0 is Monday; `fri-mon` includes the weekend."""

    first: int
    last: int

    def covers(self, weekday: int) -> bool:
        return (weekday - self.first) % 7 <= (self.last - self.first) % 7

    def __str__(self) -> str:
        return DAYS[self.first] if self.first == self.last else f"{DAYS[self.first]}-{DAYS[self.last]}"


@dataclass(frozen=True, slots=True)
class HourSpan:
    """Hours of the day, in minutes since midnight, `end` excluded. An `end` before `start` is on the next day."""

    start: int
    end: int

    def __str__(self) -> str:
        return "-".join(f"{minutes // 60:02d}:{minutes % 60:02d}" for minutes in (self.start, self.end))


_ALL_DAYS: Final = (DaySpan(0, 6),)
_ALL_DAY: Final = (HourSpan(0, DAY_MINUTES),)


def is_in(
    local: datetime,
    days: Sequence[DaySpan],
    hours: Sequence[HourSpan],
    is_day: Callable[[date], bool] = lambda _: True,
) -> bool:
    """Return whether a local time is in any of the spans. No days: every day; no hours: the whole day. `is_day`: a
    further condition on the day.

    Hours over midnight belong to the day on which they begin: `fri`, `20:00-08:00` lasts until Saturday morning.
    """
    minute, today = local.hour * 60 + local.minute, local.date()
    covered = [
        any(span.covers(day.weekday()) for span in days or _ALL_DAYS) and is_day(day)
        for day in (today, today - timedelta(days=1))
    ]
    for span in hours or _ALL_DAY:
        if span.start < span.end:
            if covered[0] and span.start <= minute < span.end:
                return True
        elif (covered[0] and minute >= span.start) or (covered[1] and minute < span.end):
            return True
    return False


def decode_days(text: str) -> DaySpan:
    """Decode `mon` or `mon-fri`. Raises `InputError`."""
    first, dash, last = (part.strip().lower() for part in text.partition("-"))
    if first not in DAYS or (dash and last not in DAYS):
        raise InputError(f"is not a day; write one of {', '.join(DAYS)}, or a range such as mon-fri")
    return DaySpan(DAYS.index(first), DAYS.index(last or first))


def decode_hours(text: str) -> HourSpan:
    """Decode `08:00-18:00`, or `20:00-08:00` across midnight. Raises `InputError`."""
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise InputError("is not a time range; write e.g. 08:00-18:00, or 20:00-08:00 for hours across midnight")
    start, end = (int(found[hour]) * 60 + int(found[hour + 1]) for hour in (1, 3))
    if start >= DAY_MINUTES or end > DAY_MINUTES or start == end:
        raise InputError(
            "is not a valid time range: it must start before 24:00 and not end at its start; a whole day is 00:00-24:00"
        )
    return HourSpan(start, end)


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone. Raises `InputError` if the name is not in the IANA time zone database."""
    if name not in _zone_names():
        raise InputError("is not a time zone of the IANA database; write e.g. Europe/Berlin")
    return ZoneInfo(name)


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones()) - _NOT_ZONES
