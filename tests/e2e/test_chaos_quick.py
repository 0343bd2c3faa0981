"""The rows of the chaos table that detect regressions first, with a few calls: a relay crashes; at night also: a relay
is drained, a gateway crashes and ACS does not reconnect.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.chaos.chaos import run_row
from lab.chaos.result import line
from lab.chaos.rows import chosen
from tests.support.nightly import nightly


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["relay-crash", pytest.param("relay-drain", marks=nightly)])
def test_callers_notice_at_most_a_short_pause(name: str, tmp_path: Path) -> None:
    (row,) = chosen(name, quick=False)
    result = run_row(row, tmp_path, calls=4, repeats=1)
    assert result.passed, line(result)
    assert result.figures()["owner_changes"] >= 1, "the fault affected no call"


@nightly
@pytest.mark.timeout(120)
def test_media_are_restored_although_acs_neither_dials_nor_reports_the_loss(tmp_path: Path) -> None:
    (row,) = chosen("gateway-crash-unseen", quick=False)
    result = run_row(row, tmp_path, calls=4, repeats=1)
    assert result.passed, line(result)
    assert result.figures()["starts_asked"] >= 1, "the fault affected no call"
