from __future__ import annotations

from datetime import date

import pytest

from bridge_common.base.errors import InputError
from call_control.core.policy.holiday_dates import decode_date, decode_public_holidays, is_holiday


@pytest.mark.parametrize("text", ["2026-12-24", "12-24", "02-29", "2028-02-29"])
def test_dates_are_shown_as_written(text: str) -> None:
    assert str(decode_date(f" {text} ")) == text


@pytest.mark.parametrize("text", ["", "24.12.", "2026-02-29", "13-01", "2026-1-1", "0000-01-01", "2026-12-24T00:00"])
def test_other_dates_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not a date"):
        decode_date(text)


def test_a_day_of_each_year_and_of_one() -> None:
    assert [is_holiday(date(year, 12, 24), [decode_date("12-24")]) for year in (2026, 2027)] == [True, True]
    assert [is_holiday(date(year, 12, 24), [decode_date("2026-12-24")]) for year in (2026, 2027)] == [True, False]
    assert not is_holiday(date(2026, 12, 24), [])


def test_public_holidays_of_a_country_and_of_a_subdivision() -> None:
    germany, bavaria = decode_public_holidays("DE", ""), decode_public_holidays("DE", "BY")
    epiphany, unity = date(2027, 1, 6), date(2027, 10, 3)
    assert (germany.covers(epiphany), bavaria.covers(epiphany)) == (False, True)
    assert (germany.covers(unity), bavaria.covers(unity)) == (True, True)
    assert decode_public_holidays("NO", "").covers(date(2027, 5, 17))


@pytest.mark.parametrize(
    ("country", "subdivision", "fault"),
    [("XX", "", "is not a known country"), ("de", "", "is not a known country"), ("DE", "TX", "known are BB, BE, BW")],
)
def test_unknown_codes_are_refused(country: str, subdivision: str, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        decode_public_holidays(country, subdivision)
