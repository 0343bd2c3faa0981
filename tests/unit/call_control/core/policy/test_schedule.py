from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bridge_common.base.errors import InputError
from call_control.core.policy.schedule import decode_days, decode_hours, is_in, zone_of

# 2026-11-20 is a Friday.
FRIDAY, SATURDAY, MONDAY = 20, 21, 23


def at(day: int, clock: str) -> datetime:
    hour, _, minute = clock.partition(":")
    return datetime(2026, 11, day, int(hour), int(minute), tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "covered"),
    [("mon-fri", "mon tue wed thu fri"), ("fri-mon", "fri sat sun mon"), ("sun", "sun"), ("Mon - TUE", "mon tue")],
)
def test_spans_of_days(days: str, covered: str) -> None:
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    span = decode_days(days)
    assert {names[day] for day in range(7) if span.covers(day)} == set(covered.split())
    assert decode_days(str(span)) == span


@pytest.mark.parametrize("text", ["08:00-18:00", "20:00-08:00", "00:00-24:00", "8:05 - 9:00"])
def test_spans_of_hours_are_written_as_they_are_read(text: str) -> None:
    span = decode_hours(text)
    assert decode_hours(str(span)) == span


@pytest.mark.parametrize(
    "text", ["", "8-18", "08:00", "25:00-26:00", "08:00-08:00", "24:00-08:00", "08:60-09:00", "1-24:30"]
)
def test_invalid_hours(text: str) -> None:
    with pytest.raises(InputError, match=r"is not a (valid )?time range"):
        decode_hours(text)


@pytest.mark.parametrize("text", ["", "monday", "mon-", "-fri", "mo-fr", "mon-fri-sun"])
def test_invalid_days(text: str) -> None:
    with pytest.raises(InputError, match="is not a day"):
        decode_days(text)


@pytest.mark.parametrize(("clock", "inside"), [("07:59", False), ("08:00", True), ("17:59", True), ("18:00", False)])
def test_the_end_is_not_included(clock: str, inside: bool) -> None:
    assert is_in(at(FRIDAY, clock), (), (decode_hours("08:00-18:00"),)) is inside


@pytest.mark.parametrize(
    ("day", "clock", "inside"),
    [
        (FRIDAY, "07:59", False),
        (FRIDAY, "19:59", False),
        (FRIDAY, "20:00", True),
        (SATURDAY, "07:59", True),
        (SATURDAY, "08:00", False),
        (SATURDAY, "20:00", False),
    ],
)
def test_hours_over_midnight_belong_to_the_day_they_begin_on(day: int, clock: str, inside: bool) -> None:
    assert is_in(at(day, clock), (decode_days("fri"),), (decode_hours("20:00-08:00"),)) is inside


def test_sunday_night_ends_on_monday() -> None:
    night = (decode_hours("22:00-06:00"),)
    assert is_in(at(MONDAY, "05:00"), (decode_days("sun"),), night)
    assert not is_in(at(MONDAY, "23:00"), (decode_days("sun"),), night)


def test_days_alone_and_nothing_at_all() -> None:
    assert is_in(at(FRIDAY, "23:59"), (decode_days("fri"),), ())
    assert not is_in(at(SATURDAY, "00:00"), (decode_days("fri"),), ())
    assert is_in(at(SATURDAY, "00:00"), (), ())


def test_a_zone_has_its_own_clock_and_its_summer() -> None:
    office = (decode_hours("08:00-09:00"),)
    zone = zone_of("Europe/Berlin")
    winter, summer = datetime(2026, 1, 5, 7, 30, tzinfo=UTC), datetime(2026, 7, 6, 6, 30, tzinfo=UTC)
    assert is_in(winter.astimezone(zone), (), office)
    assert is_in(summer.astimezone(zone), (), office)
    assert not is_in(summer, (), office)


@pytest.mark.parametrize(
    "name",
    [
        *("", "Berlin", "Europe", "../etc/passwd", "/etc/localtime", "Europe/Berlin\0", "Europe/./Berlin"),
        *("localtime", "posixrules", "Factory", "posix/Europe/Berlin", "right/Europe/Berlin", "europe/berlin"),
        *("tzdata.zi", "zone.tab", "leapseconds", "+VERSION", " UTC"),
    ],
)
def test_invalid_zones(name: str) -> None:
    with pytest.raises(InputError, match="IANA"):
        zone_of(name)
