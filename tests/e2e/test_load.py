"""A load test of a few concurrent calls, in which every frame is counted."""

from __future__ import annotations

import pytest

from lab.load import measure, table
from lab.stack import Stack


@pytest.mark.timeout(120)
def test_no_frame_of_several_calls_is_lost_repeated_or_mixed_up(stack: Stack) -> None:
    report = measure(stack, calls=5, seconds=6)
    assert report.answered == 5
    assert report.uplink.clean, table(report)
    assert report.downlink.clean, table(report)
    assert report.uplink.sent > 5 * 5 * 45
    assert report.downlink.sent > 5 * 5 * 45
    assert "uplink" in table(report)
