"""The measurement itself: it must tell good from bad."""

from __future__ import annotations

import pytest

from bench.resampler import COMPILED, MAKERS, WITH_NUMPY, measure


@pytest.fixture(scope="module")
def rows() -> dict[str, list[list[object]]]:
    tables = measure(repeats=1)
    return {str(name): [list(row[1:]) for table in tables for row in table.rows if row[0] == name] for name in MAKERS}


def test_ours_keeps_its_promises_in_both_directions(rows: dict[str, list[list[float]]]) -> None:
    for *snrs, worst_db, delay_ms, _ in [*rows.get(COMPILED, []), *rows[WITH_NUMPY]]:
        assert min(snrs) >= 80
        assert worst_db <= -70
        assert delay_ms <= 2


def test_an_fft_per_chunk_is_seen_to_click(rows: dict[str, list[list[float]]]) -> None:
    for *snrs, _worst_db, _delay_ms, _ in rows["FFT per chunk"]:
        assert max(snrs) < 45


def test_soxr_is_seen_to_hold_back(rows: dict[str, list[list[float]]]) -> None:
    for *snrs, _worst_db, delay_ms, _ in rows["soxr stream HQ"]:
        assert min(snrs) >= 80
        assert delay_ms > 15
