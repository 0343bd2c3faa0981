"""The holiday condition of a rule: public holidays of a country, and dates."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

import holidays

from bridge_common.base.errors import InputError

_DATE: Final = re.compile(r"(?:([0-9]{4})-)?([0-9]{2})-([0-9]{2})")
_ANY_LEAP_YEAR: Final = 2000


@dataclass(frozen=True, slots=True)
class HolidayDate:
    """One day, or with `year` 0 that day of each year."""

    year: int
    month: int
    day: int

    def covers(self, day: date) -> bool:
        return (self.month, self.day) == (day.month, day.day) and self.year in (0, day.year)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}-{self.day:02d}" if self.year else f"{self.month:02d}-{self.day:02d}"


@dataclass(frozen=True, slots=True)
class PublicHolidays:
    """By ISO 3166 codes; an empty `subdivision`: only those of the whole country."""

    country: str
    subdivision: str = ""

    def covers(self, day: date) -> bool:
        return day in _days_of(self.country, self.subdivision, day.year)


def decode_date(text: str) -> HolidayDate:
    """`2026-12-24`, or `12-24` for each year; raises `InputError`."""
    found = _DATE.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        year, month, day = (int(part or 0) for part in found.groups())
        date(int(found[1] or _ANY_LEAP_YEAR), month, day)
    except ValueError:
        raise InputError(
            "is not a date; write 2026-12-24, 12-24 for each year, or {country: DE, subdivision: BY}"
        ) from None
    return HolidayDate(year, month, day)


def decode_public_holidays(country: str, subdivision: str) -> PublicHolidays:
    """Raises `InputError` for unknown codes."""
    known = _countries()
    if country not in known:
        raise InputError("is not a known country; write its ISO 3166 code, e.g. DE")
    if subdivision and subdivision not in known[country]:
        codes = ", ".join(known[country]) or "none"
        raise InputError(f"has a subdivision that is not known in this country; known are {codes}")
    return PublicHolidays(country, subdivision)


def is_holiday(day: date, wanted: Iterable[HolidayDate | PublicHolidays]) -> bool:
    return any(one.covers(day) for one in wanted)


@lru_cache(maxsize=256)
def _days_of(country: str, subdivision: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, subdiv=subdivision or None, years=year))


@lru_cache(maxsize=1)
def _countries() -> dict[str, tuple[str, ...]]:
    """Subdivisions by country."""
    return {
        code: tuple(subdivisions)
        for code, subdivisions in holidays.list_supported_countries().items()
        if code.isupper() and len(code) == 2
    }
