"""When a relay reports that no entries arrive from the gateway of the call."""

from __future__ import annotations

import pytest

from agent_relay.core.uplink_watch import AGAIN_S, MISSED_S, UplinkWatch


@pytest.mark.parametrize(("silent_s", "reported"), [(0.0, False), (MISSED_S - 0.01, False), (MISSED_S, True)])
def test_silence_of_a_second_is_reported(silent_s: float, reported: bool) -> None:
    watch = UplinkWatch(7)
    assert watch.report_due(silent_s, 50.0) is reported
    assert watch.reported is reported


def test_before_the_first_socket_nothing_is_missed() -> None:
    watch = UplinkWatch(0)
    assert not watch.report_due(60.0, 50.0)
    watch.attached(7)
    assert watch.report_due(60.0, 50.0)
    assert watch.epoch == 7


def test_an_older_socket_does_not_become_the_newest() -> None:
    watch = UplinkWatch(7)
    watch.attached(6)
    assert watch.epoch == 7


def test_the_report_is_repeated_while_it_lasts() -> None:
    watch = UplinkWatch(7)
    looks = [watch.report_due(MISSED_S + n / 10, 50.0 + n / 10) for n in range(31)]
    assert [n for n, reported in enumerate(looks) if reported] == [0, *range(10, 31, round(AGAIN_S * 10))]


def test_an_entry_ends_it_and_the_next_silence_is_reported_at_once() -> None:
    watch = UplinkWatch(7)
    watch.report_due(MISSED_S, 50.0)
    watch.recovered()
    assert not watch.reported
    assert watch.report_due(MISSED_S, 50.1)
